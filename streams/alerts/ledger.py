"""All that is remembered of a partition's alerts, as of one time: the sum of the steps up to it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Final, Self

import msgspec

from streams.alerts import histograms
from streams.alerts.histograms import Slots
from streams.alerts.standings import Phase, Standing, Step

MAX_STANDINGS: Final = 20_000
"""Posts and rules that stand to each other in some way, in one partition; a snapshot stays within some megabytes."""

CANDIDATES: Final = "candidates"


class _Snapshot(msgspec.Struct, array_like=True):
    start: float
    began: float
    standings: dict[str, list[Standing]]
    population: Slots
    candidates: Slots
    budget: tuple[float, float] | None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Snapshot).decode


class Ledger:
    """Standings by post and rule, who is how large in each source, and what is left of the cap."""

    def __init__(self, slot_start: Callable[[float], float]) -> None:
        self._slot_start = slot_start
        self.start = -math.inf  # all steps as of earlier times are part of it
        self.began = math.inf  # the slot of its first step
        self.standings: dict[str, dict[str, Standing]] = {}
        self.population: Slots = {}
        self.candidates: Slots = {}
        self.budget: tuple[float, float] | None = None
        self.size = 0  # standings
        self.open: Counter[str] = Counter()  # alerts by rule

    def of(self, cascade: str) -> dict[str, Standing]:
        """A post's standings by rule; not to be changed."""
        return self.standings.get(cascade, {})

    def apply(self, step: Step) -> None:
        """Take a step."""
        slot = self._slot_start(step.as_of)
        self.began = min(self.began, slot)
        if step.standings:
            self._stand(step)
        if step.vote is not None:
            histograms.count(self.population, slot, *step.vote)
        for number in step.candidates:
            histograms.count(self.candidates, slot, CANDIDATES, number)
        if step.budget is not None:
            self.budget = step.budget

    def _stand(self, step: Step) -> None:
        known = self.standings.setdefault(step.cascade, {})
        self.size -= len(known)
        for standing in step.standings:
            before = known.pop(standing.rule, None)
            self.open[standing.rule] -= before is not None and before.phase is Phase.OPEN
            if standing.phase is not Phase.GONE:
                known[standing.rule] = standing
                self.open[standing.rule] += standing.phase is Phase.OPEN
        self.size += len(known)
        if not known:
            del self.standings[step.cascade]

    def forget(self, time: float, population_seconds: float, bar_seconds: float) -> bool:
        """Drop what no forecast as of ``time`` or later can ask for; whether there was any."""
        over = [
            (cascade, standing.rule)
            for cascade, known in self.standings.items()
            for standing in known.values()
            if standing.phase is not Phase.OPEN and standing.until <= time
        ]
        for cascade, rule in over:
            del self.standings[cascade][rule]
            self.size -= 1
            if not self.standings[cascade]:
                del self.standings[cascade]
        old = histograms.forget(self.population, time - population_seconds)
        return histograms.forget(self.candidates, time - bar_seconds) or old or bool(over)

    def snapshot(self) -> bytes:
        """`restore` reads it back."""
        standings = {cascade: list(known.values()) for cascade, known in self.standings.items()}
        return _encode(_Snapshot(self.start, self.began, standings, self.population, self.candidates, self.budget))

    @classmethod
    def restore(cls, slot_start: Callable[[float], float], snapshot: bytes | None) -> Self:
        """Read back `snapshot`; None: nothing was there. Raises msgspec.DecodeError for other bytes."""
        ledger = cls(slot_start)
        if snapshot is not None:
            found = _decode(snapshot)
            ledger.start, ledger.began, ledger.budget = found.start, found.began, found.budget
            ledger.population, ledger.candidates = found.population, found.candidates
            ledger.standings = {
                cascade: {standing.rule: standing for standing in known} for cascade, known in found.standings.items()
            }
            ledger.size = sum(map(len, ledger.standings.values()))
            ledger.open.update(
                standing.rule
                for known in ledger.standings.values()
                for standing in known.values()
                if standing.phase is Phase.OPEN
            )
        return ledger
