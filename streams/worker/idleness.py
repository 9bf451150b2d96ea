"""Idle live partitions: where no event comes for a while, event time goes on by the wall clock."""

from __future__ import annotations

from streams.metrics import WorkerMetrics
from streams.settings import Settings
from streams.worker.assigned import Assigned
from streams.worker.partition_figures import PartitionFigures


class Idleness:
    """Moves the clocks of partitions that are live and idle."""

    def __init__(self, settings: Settings, metrics: WorkerMetrics, figures: PartitionFigures) -> None:
        self._settings = settings
        self._metrics = metrics
        self._figures = figures

    def is_idle(self, one: Assigned, now: float) -> bool:
        """Whether a partition is live and has had no event for a while; ``now`` is wall time."""
        return one.live and now - one.last_event_wall > self._settings.idle_after_seconds

    async def advance(self, one: Assigned, now: float) -> None:
        """Move the partition's watermark to where an event of ``now`` would.

        Unlike what records do to it this would not come again after a crash, so it is made durable before any forecast
        rests on it: no later event must change what is out already.
        """
        async with one.lock:
            one.advancing = True
            try:
                one.partition.watermark.advance_to(now - self._settings.allowed_lateness_seconds)
                changes = one.partition.apply_events(())
                self._figures.count_changes(changes, 0)
                if changes.left or one.partition.has_due():
                    self._metrics.changelog_bytes.inc(await one.write(changes))
            finally:
                one.advancing = False
