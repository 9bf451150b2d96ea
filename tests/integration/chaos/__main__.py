"""Run seeds one after another: ``python -m tests.integration.chaos --runs 50 --seed 0 --events FILE|simulated``.

Prints one JSON object a run on standard output. The exit code is 1 if any differed; what the processes of such a run
said is kept, and its verdict says where. ``--seed N --runs 1`` repeats the faults and the stream of seed N.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from tests.integration.chaos.run import Plan, cheap_blend, run
from tests.integration.chaos.schedule import ALL_KINDS, Kind
from tests.integration.chaos.stream import read_pool, simulated_pool


def kinds(text: str) -> tuple[Kind, ...]:
    """Kinds of faults from an option."""
    named = tuple(part.strip() for part in text.split(","))
    if unknown := set(named) - set(ALL_KINDS):
        raise argparse.ArgumentTypeError(f"no fault {', '.join(unknown)}; there are {', '.join(ALL_KINDS)}")
    return tuple(kind for kind in ALL_KINDS if kind in named)


def main() -> int:
    plan = Plan()
    parser = argparse.ArgumentParser(
        prog="chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=0, help="of the first run")
    parser.add_argument("--runs", type=int, default=1, help="so many seeds, one after another")
    parser.add_argument("--events", default="simulated", help="an event file to draw cascades from, or simulated")
    parser.add_argument("--size", type=int, default=plan.events, help="events of a run")
    parser.add_argument("--faults", type=int, default=plan.faults, help="faults of a run")
    parser.add_argument("--replay-seconds", type=float, default=plan.replay_seconds, help="time to play the stream")
    parser.add_argument("--settle-seconds", type=float, default=plan.settle_seconds, help="give up after so long")
    parser.add_argument("--keep", type=Path, help="where to keep what a run that differed left")
    parser.add_argument("--kinds", type=kinds, default=plan.kinds, help="only these, such as 'kill worker,kill broker'")
    parser.add_argument("--show", action="store_true", help="only print the faults of the seeds")
    args = parser.parse_args()
    seeds = range(args.seed, args.seed + args.runs)
    plan = Plan(args.size, args.replay_seconds, args.faults, args.settle_seconds, args.kinds)
    if args.show:
        for seed in seeds:
            print(seed, plan.schedule(seed))
        return 0
    pool = simulated_pool(args.seed) if args.events == "simulated" else read_pool(Path(args.events))
    differed = 0
    with tempfile.TemporaryDirectory() as scratch:
        models = cheap_blend(Path(scratch))
        for seed in seeds:
            verdict = run(seed, pool, models, plan, args.keep)
            differed += not verdict["equal"]
            print(json.dumps(verdict, default=str), flush=True)
    print(f"{args.runs - differed} of {args.runs} runs equal", file=sys.stderr)
    return 1 if differed else 0


if __name__ == "__main__":
    sys.exit(main())
