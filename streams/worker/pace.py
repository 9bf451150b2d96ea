"""How fast forecasts are made, against what waits: how large a round may be, and whether input has to wait for it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from heapq import nsmallest
from typing import Final

from streams.engine.partition import Partition
from streams.engine.raw_record import Record
from streams.settings import Settings
from streams.worker.assigned import Assigned
from streams.worker.round_size import RoundSize

PACED_SHARE: Final = 0.6
"""Of forecast_within_seconds: as long as the forecasts of what was let in may take. The rest is for what makes them
take longer than those before did, and for publication."""

STEP_SHARE: Final = 0.15
"""Of forecast_within_seconds: so long the forecasts of one step of a paced partition take at least, where there is
room for more. The smaller it is, the longer each cascade waits for further events before its forecast is made, and the
more of them that stands for. But each step is a durable write of its own."""

FEWEST_IN_STEP: Final = 16
"""Cascades of a step, however slow the models are."""


class Pace:
    """Of the forecasts of all ``assigned`` partitions, which it looks at and does not change."""

    def __init__(self, settings: Settings, assigned: Mapping[int, Assigned]) -> None:
        self._settings = settings
        self._assigned = assigned
        self._round_size = RoundSize()
        self.computing = 0
        """Forecasts of the round that the models have."""

    def took(self, forecasts: int, seconds: float) -> None:
        """The models have made so many forecasts."""
        self._round_size.took(forecasts, seconds)

    def backlog(self) -> int:
        """Forecasts that are due and wait, over all partitions."""
        return sum(one.partition.backlog() for one in self._assigned.values())

    def round_limits(self, *, teaching: bool = False) -> dict[int, int]:
        """Forecasts of each partition in the next round, by its number.

        Where input is paced it has those that have waited longest, wherever they are, and no more than one partition's
        if it is ``teaching``, which takes longer. Else each partition that has any has the same number, so that none
        starves.
        """
        waiting = {number: one.partition.backlog() for number, one in self._assigned.items()}
        busy = max(1, sum(number > 0 for number in waiting.values()))
        most = self._round_size.limit(busy * self._settings.inference_batch, sum(waiting.values()))
        if self._settings.shed != "paced":
            return dict.fromkeys(waiting, math.ceil(most / busy))
        if teaching:
            most = min(most, self._settings.inference_batch)
        owned = self._assigned.items()
        turns = ((since, number) for number, one in owned for since in one.partition.waiting_since(most))
        return Counter(number for _, number in nsmallest(most, turns))

    def is_overloaded(self, one: Assigned, waiting: int) -> bool:
        """Whether, while so many wait over all partitions, forecasts of this one give way to later ones."""
        settings = self._settings
        if settings.shed is not True:
            return settings.shed == "paced"
        waits, within = one.partition.waits_seconds(), settings.forecast_within_seconds
        return waiting > settings.max_backlog or (one.live and waits > within)

    def steps(self, one: Assigned, records: Sequence[Record]) -> Iterator[Sequence[Record]]:
        """A partition's records in parts, between which it is to be asked whether input has to wait.

        What a part costs is the forecasts of the cascades that it touches and that do not wait already, so it ends
        where there is no room for more of them.
        """
        start = 0
        while start < len(records):
            end = min(start + self._settings.batch_max_events, len(records))
            if self._settings.shed == "paced":
                end = self._end_of_step(one.partition, records, start, end)
            yield records[start:end]
            start = end

    def _end_of_step(self, partition: Partition, records: Sequence[Record], start: int, end: int) -> int:
        room, touched = self._room(), set[bytes | None]()
        for at in range(start, end):
            key = records[at].key
            if key in touched or (key is not None and partition.is_waiting(key)):
                continue
            if len(touched) == room:
                return at
            touched.add(key)
        return end

    def _room(self) -> int:
        """Cascades whose forecasts can still be made in time beside those that wait."""
        left = PACED_SHARE * self._settings.forecast_within_seconds - self._until_made()
        return max(FEWEST_IN_STEP, self._round_size.forecasts_within(left))

    def _until_made(self) -> float:
        """How long all that waits takes, and what the models have."""
        waiting = sum(one.partition.waiting_cascades() for one in self._assigned.values())
        return self._round_size.seconds(self.computing + waiting)

    def is_behind(self) -> bool:
        """Whether input waits for the forecasts."""
        settings = self._settings
        if settings.shed != "paced":
            return self.backlog() > settings.max_backlog
        longest = max((one.partition.waits_seconds() for one in self._assigned.values()), default=0.0)
        within = settings.forecast_within_seconds
        return self._until_made() > (PACED_SHARE - STEP_SHARE) * within or longest > PACED_SHARE * within
