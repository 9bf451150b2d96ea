"""Whether a worker is ready, and if not how far it is: what ``/readyz`` and the metrics of a recovery tell."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Protocol

from streams.metrics import WorkerMetrics
from streams.worker.core import WorkerCore


class Stage(StrEnum):
    """What stands between a worker and its forecasts."""

    JOINING = "joining"  # the group has not given it partitions yet
    CHANGELOG = "changelog"  # the local copy of the state is brought up to date
    STATE = "state"  # the copy is read into memory
    READY = "ready"


class ChangelogReading(Protocol):
    """The reading of changelogs, as far as it has to be known here."""

    def joining(self) -> bool:
        """Whether the group is still deciding."""

    def records_remaining(self) -> int:
        """Records of our own partitions' changelogs still to be read."""

    def standby_records_remaining(self) -> int:
        """The same of partitions of which we only keep a copy."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """How far a worker is."""

    stage: Stage
    partitions: list[int]
    changelog_records_remaining: int
    partitions_remaining: list[int]
    standby_records_remaining: int

    @property
    def ready(self) -> bool:
        """Whether it forecasts."""
        return self.stage is Stage.READY

    def page(self) -> dict[str, Any]:
        """For people and probes."""
        return {"ready": self.ready, **asdict(self)}


def look(core: WorkerCore, changelogs: ChangelogReading) -> Readiness:
    """How far the worker is now."""
    remaining = sorted(core.to_recover)
    records = 0 if core.ready else changelogs.records_remaining()
    if core.ready:
        stage = Stage.READY
    elif remaining:
        stage = Stage.STATE
    else:
        stage = Stage.JOINING if changelogs.joining() else Stage.CHANGELOG
    return Readiness(stage, sorted(core.assigned), records, remaining, changelogs.standby_records_remaining())


def show(readiness: Readiness, metrics: WorkerMetrics) -> None:
    """Set the gauges that tell of it."""
    metrics.ready.set(readiness.ready)
    metrics.recovery_records.set(readiness.changelog_records_remaining)
    metrics.recovery_partitions.set(len(readiness.partitions_remaining))
    metrics.standby_records.set(readiness.standby_records_remaining)
