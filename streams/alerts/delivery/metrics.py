"""What a delivering process counts, for Prometheus; the only label beside the target's name is bounded.

For each target: read = the sum of the fates of ``cascadecast_delivery_records_total`` + waiting.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

LATENCY_BUCKETS: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 21_600.0)
"""From a service that answers at once to a record that is given up."""

ATTEMPT_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Fate(StrEnum):
    """What became of a record; every one that is read meets exactly one."""

    DELIVERED = "delivered"
    FILTERED = "filtered"  # the target does not want it
    DUPLICATE = "duplicate"  # delivered before, or waiting
    COLLAPSED = "collapsed"  # a newer record of its alert waits
    DEAD_LETTERED = "dead-lettered"
    LET_GO = "let-go"  # another process has its partition, or this one stops: it is read again


class DeliveryMetrics:
    """The metrics of one process, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.read = self._counter("records_read", "Records of the alerts topic that were not done before.")
        self.records = self._counter("records", "Records by what became of them.", "fate")
        self.failures = self._counter("failures", "Tries that failed, by reason.", "reason")
        self.dead_letters = self._counter("dead_letters", "Dead letters by reason.", "reason")
        self.late = self._counter("late", "Records delivered late, which say so.")
        self.resent = self._counter("resent", "Alerts sent again because they are open, or were resolved just now.")
        self.forgotten = self._counter("forgotten", "Open alerts of which no record came any more.")
        self.waiting = self._gauge("waiting", "Records read and not done.")
        self.lag = self._gauge("lag_records", "Records in Kafka that were not read yet.")
        self.open = self._gauge("open_alerts", "Open alerts that are sent again and again.")
        self.failing = self._gauge("failing", "1 when the last try failed.")
        self.latency = self._histogram(
            "seconds", "Wall time from a record's coming to Kafka to its being taken.", LATENCY_BUCKETS
        )
        self.attempt = self._histogram("attempt_seconds", "Wall time of one try, whatever came of it.", ATTEMPT_BUCKETS)

    def of(self, target: str) -> TargetMetrics:
        """The metrics of one target, there from the start with the value 0."""
        return TargetMetrics(self, target)

    def render(self) -> bytes:
        """Prometheus text."""
        return generate_latest(self.registry)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"cascadecast_delivery_{name}", meaning, ["target", *labels], registry=self.registry)

    def _gauge(self, name: str, meaning: str) -> Gauge:
        return Gauge(f"cascadecast_delivery_{name}", meaning, ["target"], registry=self.registry)

    def _histogram(self, name: str, meaning: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"cascadecast_delivery_{name}", meaning, ["target"], buckets=buckets, registry=self.registry)


class TargetMetrics:
    """The metrics of one target."""

    def __init__(self, metrics: DeliveryMetrics, target: str) -> None:
        self._metrics = metrics
        self._target = target
        self.read = metrics.read.labels(target)
        self.late = metrics.late.labels(target)
        self.resent = metrics.resent.labels(target)
        self.forgotten = metrics.forgotten.labels(target)
        self.waiting = metrics.waiting.labels(target)
        self.lag = metrics.lag.labels(target)
        self.open = metrics.open.labels(target)
        self.failing = metrics.failing.labels(target)
        self.latency = metrics.latency.labels(target)
        self.attempt = metrics.attempt.labels(target)
        for fate in Fate:
            metrics.records.labels(target, fate.value)

    def met(self, fate: Fate) -> None:
        """A record met its fate."""
        self._metrics.records.labels(self._target, fate.value).inc()

    def failed(self, reason: str) -> None:
        """A try failed."""
        self._metrics.failures.labels(self._target, reason).inc()

    def dead_lettered(self, reason: str) -> None:
        """A record went to the dead letters."""
        self._metrics.dead_letters.labels(self._target, reason).inc()
