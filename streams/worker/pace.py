"""How fast forecasts are made, against what waits: how large a round may be, and whether input has to wait for it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from streams.engine.raw_record import Record
from streams.settings import Settings
from streams.worker.assigned import Assigned
from streams.worker.round_size import RoundSize

PACED_SHARE: Final = 0.75
"""Of forecast_within_seconds: what waits may take so long until input waits too, which leaves time for the step that
was let in last and for publication."""

STEP_SHARE: Final = 0.15
"""Of forecast_within_seconds: so long it may take to forecast the cascades of one step of a paced partition. The larger
the step, the more events of a cascade come with it, and the more of them one forecast stands for."""

FEWEST_IN_STEP: Final = 16
"""Cascades of a step, however slow the models are: each step is a durable write of its own."""


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

    def share_limit(self, waiting: int) -> int:
        """Forecasts of one partition in the next round: of each that has any the same number, so that none starves."""
        busy = max(1, sum(one.partition.backlog() > 0 for one in self._assigned.values()))
        return math.ceil(self._round_size.limit(busy * self._settings.inference_batch, waiting) / busy)

    def is_overloaded(self, one: Assigned, waiting: int) -> bool:
        """Whether, while so many wait over all partitions, forecasts of this one give way to later ones."""
        settings = self._settings
        if settings.shed is not True:
            return settings.shed == "paced"
        waits, within = one.partition.waits_seconds(), settings.forecast_within_seconds
        return waiting > settings.max_backlog or (one.live and waits > within)

    def steps(self, records: Sequence[Record]) -> Iterator[Sequence[Record]]:
        """A partition's records in parts, between which it is to be asked whether input has to wait.

        What a part costs is the forecasts of the cascades that it touches, so it ends with so many of them.
        """
        settings = self._settings
        start, touched = 0, set[bytes | None]()
        for at, record in enumerate(records):
            if at - start == settings.batch_max_events or (
                settings.shed == "paced" and record.key not in touched and len(touched) >= self._cascades_in_step()
            ):
                yield records[start:at]
                start, touched = at, set()
            touched.add(record.key)
        if start < len(records):
            yield records[start:]

    def _cascades_in_step(self) -> int:
        within = STEP_SHARE * self._settings.forecast_within_seconds
        return max(FEWEST_IN_STEP, self._round_size.forecasts_within(within))

    def is_behind(self) -> bool:
        """Whether input waits for the forecasts."""
        settings = self._settings
        if settings.shed != "paced":
            return self.backlog() > settings.max_backlog
        partitions = [one.partition for one in self._assigned.values()]
        until_made = self._round_size.seconds(self.computing + sum(one.waiting_cascades() for one in partitions))
        longest = max((one.waits_seconds() for one in partitions), default=0.0)
        return max(until_made, longest) > PACED_SHARE * settings.forecast_within_seconds
