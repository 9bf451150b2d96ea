"""Run many inputs and hold what comes of them against what must: no crash, none slow, no growth, a reason for each
rejection.

An input is a function of (seed, target, number), so the three of a failure are all that it takes to see it again.
"""

from __future__ import annotations

import gc
import os
import random
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.fuzz.mutation import mutated
from tests.fuzz.targets import TARGETS, Target

SLOW_SECONDS: Final = 1.0
"""Of processor time for one input."""

WARM_INPUTS: Final = 200_000
"""Caches are filled by then; from there on memory must not grow."""

GROWTH_BYTES: Final = 64 * 1024 * 1024

_BLOCK: Final = 5_000


class FuzzFailureError(Exception):
    """An input that a decoder did not take as it must."""


@dataclass
class Report:
    """What a campaign did."""

    inputs: int = 0
    outcomes: dict[str, Counter[str]] = field(default_factory=dict)
    slowest_seconds: float = 0.0
    slowest: str = ""
    resident_after_warming: int = 0
    resident: int = 0


def resident_bytes() -> int:
    """Resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def make_input(seed: int, target: Target, number: int) -> tuple[bytes, random.Random]:
    """The input of that number, and the chance that its run goes on with."""
    rng = random.Random((seed << 64) ^ (hash_of(target.name) << 40) ^ number)
    return mutated(target.examples(), rng), rng


def hash_of(name: str) -> int:
    """The same in every process."""
    return int.from_bytes(name.encode()[-3:], "big")


def run_one(seed: int, target: Target, number: int, folder: Path) -> tuple[str, float]:
    """What became of one input, and the processor time it took; raises `FuzzFailureError` that tells how to see it."""
    raw, rng = make_input(seed, target, number)
    started = time.process_time()
    try:
        outcome = target.run(raw, rng, folder)
    except Exception:
        raise FuzzFailureError(
            f"{traceback.format_exc()}\ninput ({len(raw)} bytes): {raw[:300]!r}\n{again(seed, target, number)}"
        ) from None
    seconds = time.process_time() - started
    if seconds > SLOW_SECONDS:
        raise FuzzFailureError(f"{seconds:.1f} s for {len(raw)} bytes: {raw[:300]!r}\n{again(seed, target, number)}")
    return outcome, seconds


def again(seed: int, target: Target, number: int) -> str:
    """The command that runs this input alone."""
    return f"again: python -m tests.fuzz --seed {seed} --target {target.name} --only {number}"


def run(
    seed: int,
    inputs: int,
    targets: Sequence[Target] = TARGETS,
    progress: Callable[[Report], None] = lambda report: None,
) -> Report:
    """``inputs`` in all, shared out by weight; raises `FuzzFailureError` at the first failure."""
    report = Report(outcomes={target.name: Counter() for target in targets})
    total = sum(target.weight for target in targets)
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # files in memory, where there is such a place
    with tempfile.TemporaryDirectory(prefix="cascadecast-fuzz-", dir=place) as name:
        folder = Path(name)
        for target in targets:  # what is imported or made once does not count as one input's time
            target.run(target.examples()[0], random.Random(seed), folder)
        numbers = dict.fromkeys(report.outcomes, 0)
        while report.inputs < inputs:
            block = min(_BLOCK, inputs - report.inputs)
            for target in targets:
                for _ in range(max(1, block * target.weight // total)):
                    outcome, seconds = run_one(seed, target, numbers[target.name], folder)
                    report.outcomes[target.name][outcome] += 1
                    if seconds > report.slowest_seconds:
                        report.slowest_seconds = seconds
                        report.slowest = again(seed, target, numbers[target.name])
                    numbers[target.name] += 1
                    report.inputs += 1
            _watch_memory(report)
            progress(report)
    return report


def _watch_memory(report: Report) -> None:
    if report.inputs < WARM_INPUTS:
        return
    report.resident = resident_bytes()
    if not report.resident_after_warming:
        report.resident_after_warming = report.resident
    elif report.resident > report.resident_after_warming + GROWTH_BYTES:
        gc.collect()
        if resident_bytes() > report.resident_after_warming + GROWTH_BYTES:
            raise FuzzFailureError(
                f"resident memory grew from {report.resident_after_warming} to {report.resident} bytes within "
                f"{report.inputs} inputs"
            )
