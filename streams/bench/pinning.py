"""Which core does what while a benchmark runs: the one measured has a core of its own, Kafka and the feed another."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Cores:
    """``measured`` and ``others`` share none, where there are two."""

    measured: frozenset[int]
    others: frozenset[int]

    @classmethod
    def here(cls) -> Self:
        """The last core this process may use, and the others."""
        cores = sorted(os.sched_getaffinity(0))
        return cls(frozenset(cores[-1:]), frozenset(cores[:-1] or cores))

    def told(self) -> str:
        """For the reader of the figures."""
        if self.measured == self.others:
            return "one core for all"
        return f"core {min(self.measured)} for what is measured, {len(self.others)} for Kafka and the feed"


@contextmanager
def on(cores: frozenset[int]) -> Iterator[None]:
    """Children started meanwhile stay on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
