"""The alerts of a partition as its log holds them, gathered while the log is read in order."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from streams.alerts.engine import PartitionAlerts
from streams.alerts.standings import Mark, Step
from streams.state.squeezing import StateError

if TYPE_CHECKING:
    from streams.state.segments import Segment


class StoredAlerts:
    """Snapshot, steps and marks of the segments read so far."""

    def __init__(self) -> None:
        self.snapshot: bytes | None = None
        self._steps: dict[tuple[float, str, str], Step] = {}
        self._marks: dict[str, Mark] = {}
        self._epoch = -1
        self._since = -math.inf

    def take(self, epoch: int, segment: Segment) -> bool:
        """The next segment; whether it holds a snapshot.

        What an owner noted of forecasts that were not out for certain was made again by the next one, perhaps by other
        rules: only what that one noted counts.
        """
        if epoch != self._epoch:
            self._steps = {key: step for key, step in self._steps.items() if step.as_of < self._since}
            self._epoch = epoch
        self._since = segment.unforecast_since
        self._steps.update((step.key, step) for step in segment.steps)
        self._marks.update((mark.cascade, mark) for mark in segment.marks)
        if segment.alerts is None:
            return False
        self.snapshot = segment.alerts
        return True

    def restore(self, alerts: PartitionAlerts, since: float) -> None:
        """Give it all back; raises StateError for what this version cannot read."""
        try:
            alerts.restore(self.snapshot, self._steps.values(), self._marks.values(), since)
        except msgspec.DecodeError as error:
            raise StateError(
                f"what the stored state holds of alerts cannot be read ({error}): run the version that wrote it"
            ) from None
