"""The latest forecasts of the posts that rise fastest, in memory, for people who watch."""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from streams.records import ForecastRecord

ROOM: Final = 2000
"""Posts kept: far more than anybody looks at, some 20 MB with four models."""

_SLACK: Final = 1.25
"""So many times the room before the slowest are let go: then pruning costs little a record."""


def growth_per_hour(record: ForecastRecord, age_seconds: float) -> float:
    """Reshares that a forecast, however old, expects in the hour after ``age_seconds``, per hour."""
    until = min(age_seconds + 3600.0, record.horizon_seconds)
    if until <= age_seconds:
        return 0.0
    return (size_at(record, until) - size_at(record, age_seconds)) * 3600.0 / (until - age_seconds)


def size_at(record: ForecastRecord, age_seconds: float) -> float:
    """The size a forecast expects at an age; between two points of its trajectory, on the line between them."""
    points = record.trajectory
    after = bisect_right(points, age_seconds, key=lambda point: point[0])
    if after == 0:
        return float(record.observed)
    if after == len(points):
        return points[-1][1]
    (from_age, from_size), (to_age, to_size) = points[after - 1], points[after]
    return from_size + (to_size - from_size) * (age_seconds - from_age) / (to_age - from_age)


class LiveBoard:
    """Forecasts by cascade and model; whoever is expected to grow least goes when it is full."""

    def __init__(self, is_live: Callable[[str], bool], room: int = ROOM) -> None:
        """``is_live`` tells whether a cascade is still here."""
        self._is_live = is_live
        self._room = room
        self._found: dict[str, dict[str, ForecastRecord]] = {}
        self._newest = 0.0
        self._floor = 0.0

    def __len__(self) -> int:
        return len(self._found)

    def add(self, model: str, records: Iterable[ForecastRecord]) -> None:
        """Take in what a model published last."""
        for record in records:
            known = self._found.get(record.cascade)
            if known is None:
                if len(self._found) >= self._room and record.growth_per_hour < self._floor:
                    continue
                known = self._found[record.cascade] = {}
            previous = known.get(model)
            if previous is None or previous.as_of <= record.as_of:
                known[model] = record
                self._newest = max(self._newest, record.as_of)
        if len(self._found) > self._room * _SLACK:
            self._prune()

    def _prune(self) -> None:
        self._found = {cascade: found for cascade, found in self._found.items() if self._is_live(cascade)}
        best = heapq.nlargest(self._room, self._found, key=lambda cascade: (self._growth(cascade), cascade))
        self._floor = self._growth(best[-1]) if best else 0.0
        self._found = {cascade: self._found[cascade] for cascade in best}

    def _growth(self, cascade: str) -> float:
        return max(
            growth_per_hour(record, record.age_seconds + self._newest - record.as_of)
            for record in self._found[cascade].values()
        )

    def of(self, cascade: str) -> Mapping[str, ForecastRecord]:
        """The latest forecast of each model."""
        return self._found.get(cascade, {})

    def live(self) -> Iterator[tuple[str, Mapping[str, ForecastRecord]]]:
        """All that is kept of cascades that are still here."""
        return ((cascade, found) for cascade, found in self._found.items() if self._is_live(cascade))
