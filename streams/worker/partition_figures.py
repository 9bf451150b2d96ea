"""What the metrics tell of the partitions a worker owns: where each stands, what became of records."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from streams.engine.changes import Changes
from streams.metrics import WorkerMetrics
from streams.worker.assigned import Assigned
from streams.worker.outputs import Output
from streams.worker.source import Source

_Key = TypeVar("_Key")


def _newly(counted: Mapping[_Key, int], told: dict[_Key, int]) -> Iterator[tuple[_Key, int]]:
    """What was counted since it was last ``told``, which it then is."""
    for key, number in counted.items():
        yield key, number - told.get(key, 0)
        told[key] = number


class PartitionFigures:
    """Of all partitions of a worker."""

    def __init__(self, metrics: WorkerMetrics, source: Source) -> None:
        self._metrics = metrics
        self._source = source

    def show(self, one: Assigned) -> None:
        """Where a partition stands."""
        label = str(one.partition.number)
        metrics = self._metrics
        if math.isfinite(one.partition.watermark.value):
            metrics.watermark.labels(label).set(one.partition.watermark.value)
        metrics.next_offset.labels(label).set(one.flow.position)
        metrics.missing.inc(one.flow.missing - one.told.missing)
        one.told.missing = one.flow.missing
        self._show_lag(one, label)
        metrics.live_cascades.labels(label).set(len(one.partition.store))
        metrics.live_bytes.labels(label).set(one.partition.store.bytes)
        metrics.state_bytes.labels(label).set(one.log.stored_bytes)

    def _show_lag(self, one: Assigned, label: str) -> None:
        end = self._source.last_known_end(one.partition.number)
        waiting = max(0, end - one.flow.position) if end is not None else 0
        age = time.time() - one.last_record_time
        self._metrics.lag_records.labels(label).set(waiting)
        self._metrics.lag_seconds.labels(label).set(max(0.0, age) if waiting and math.isfinite(age) else 0.0)

    def count_changes(self, changes: Changes, received: int) -> None:
        """What became of a batch of so many records."""
        metrics = self._metrics
        metrics.received.inc(received)
        for fate, number in changes.fates.items():
            metrics.events.labels(fate.value).inc(number)
        for _, rejected in changes.dead:
            metrics.dead_letters.labels(rejected.reason.value).inc()
        metrics.late_applied.inc(changes.late_applied)
        metrics.ahead.inc(changes.ahead)
        for why, number in changes.departures.items():
            metrics.departed.labels(why.value).inc(number)
        metrics.counted_only.inc(changes.counted_only)

    def count_withheld(self, outputs: Sequence[Output], out: Sequence[Output]) -> None:
        """Of outputs those that were not published, since they had been before."""
        if len(out) < len(outputs):
            published = {id(output) for output in out}
            for output in outputs:
                if id(output) not in published:
                    self._metrics.withheld.labels(output.key.kind.value).inc()

    def count_due(self, one: Assigned) -> None:
        """What fell due, and what of it or of scores will not be made."""
        partition, told = one.partition, one.told
        self._metrics.due.inc(partition.due_total - told.due)
        told.due = partition.due_total
        for reason, number in _newly(partition.skipped, told.skipped):
            self._metrics.skipped.labels(reason.value).inc(number)
        for why, number in _newly(partition.learner.unscored, told.unscored):
            self._metrics.unscored.labels(why.value).inc(number)

    def count_withheld_alerts(self, one: Assigned) -> None:
        """Alerts that rules asked for and that were not told."""
        for (rule, why), number in _newly(one.partition.alerts.withheld, one.told.withheld_alerts):
            self._metrics.alerts_withheld.labels(rule, why.value).inc(number)
