"""How fast forecasts are made, against what waits: how large a round may be, and whether input has to wait for it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from streams.assigned import Assigned
from streams.round_size import RoundSize
from streams.settings import Settings

PACED_SHARE: Final = 0.4
"""Of forecast_within_seconds: what waits may take so long until input waits too, which leaves time for what comes."""


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

    def is_behind(self) -> bool:
        """Whether input waits for the forecasts."""
        settings = self._settings
        if settings.shed != "paced":
            return self.backlog() > settings.max_backlog
        partitions = [one.partition for one in self._assigned.values()]
        until_made = self._round_size.seconds(self.computing + sum(one.waiting_cascades() for one in partitions))
        longest = max((one.waits_seconds() for one in partitions), default=0.0)
        return max(until_made, longest) > PACED_SHARE * settings.forecast_within_seconds
