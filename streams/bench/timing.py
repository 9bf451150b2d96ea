"""Time work the way every benchmark here does: the fastest of some rounds, being the one least disturbed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

ROUNDS: Final = 5


def fastest(work: Callable[[], object], rounds: int = ROUNDS, clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds, by ``clock``, of the fastest of ``rounds`` rounds, after one to warm up."""
    work()
    seconds = []
    for _ in range(rounds):
        start = clock()
        work()
        seconds.append(clock() - start)
    return min(seconds)
