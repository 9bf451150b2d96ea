"""``python -m tests.fuzz``: the long form, with progress; or one input again, by its seed, target and number."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.campaign import FuzzFailureError, Report, make_input, run, run_one
from tests.fuzz.targets import TARGETS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Hostile input for every decoder.")
    parser.add_argument("--seed", type=int, default=None, help="default: of the clock; it is printed")
    parser.add_argument("--inputs", type=int, default=10_000_000)
    parser.add_argument("--target", choices=[target.name for target in TARGETS], help="default: all")
    parser.add_argument("--only", type=int, help="run this one input of --target again")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    options = parser.parse_args()
    seed = int(time.time()) if options.seed is None else options.seed
    targets = [target for target in TARGETS if options.target in (None, target.name)]
    try:
        if options.only is not None:
            if len(targets) != 1:
                parser.error("--only needs --target")
            print(repr(make_input(seed, targets[0], options.only)[0]))
            with tempfile.TemporaryDirectory() as folder:
                print(run_one(seed, targets[0], options.only, Path(folder)))
            return 0
        print(f"seed {seed}, {options.inputs:,} inputs", file=sys.stderr)
        began = time.monotonic()
        report = run(seed, options.inputs, targets, lambda report: _tell(report, options.inputs, began))
    except FuzzFailureError as failure:
        print(f"\nFAILED with seed {seed}\n{failure}", file=sys.stderr)
        return 1
    _print(report, seed, time.monotonic() - began, as_json=options.json)
    return 0


def _tell(report: Report, inputs: int, began: float) -> None:
    if sys.stderr.isatty() or report.inputs % 500_000 < 5_000:
        rate = report.inputs / (time.monotonic() - began)
        end = "\r" if sys.stderr.isatty() else "\n"
        print(f"{report.inputs:,} of {inputs:,}, {rate:,.0f} a second", end=end, file=sys.stderr, flush=True)


def _print(report: Report, seed: int, seconds: float, *, as_json: bool) -> None:
    if as_json:
        figures = {
            "seed": seed,
            "inputs": report.inputs,
            "seconds": round(seconds, 1),
            "slowest_seconds": round(report.slowest_seconds, 4),
            "slowest": report.slowest,
            "resident_after_warming_bytes": report.resident_after_warming,
            "resident_bytes": report.resident,
            "outcomes": {name: dict(outcomes.most_common()) for name, outcomes in report.outcomes.items()},
        }
        print(json.dumps(figures, indent=2))
        return
    for name, outcomes in report.outcomes.items():
        told = ", ".join(f"{outcome} {number:,}" for outcome, number in outcomes.most_common())
        print(f"{name}: {told}")
    print(
        f"{report.inputs:,} inputs in {seconds:,.0f} s, the slowest took {report.slowest_seconds * 1000:.0f} ms "
        f"({report.slowest}); resident memory {report.resident_after_warming / 1e6:.0f} MB after warming, "
        f"{report.resident / 1e6:.0f} MB at the end; no failure, seed {seed}"
    )


sys.exit(main())
