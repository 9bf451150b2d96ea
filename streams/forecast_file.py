"""The engine in one process, without Kafka: events in, forecasts out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from graph import Event
from streams.inference import ForecastService
from streams.partition import Fate, Partition, Skipped
from streams.records import ForecastRecord
from streams.settings import Settings

BATCH_EVENTS = 2000
"""Events applied between two looks at the schedule; changes the pace, never the result."""

DRAIN_SECONDS = 3600.0
"""How far past the last event the watermark goes at the end of a file: every forecast still waiting falls due."""


@dataclass(slots=True)
class RunCounts:
    """What a run over a file did; the counts add up as those of a worker do."""

    fates: Counter[Fate] = field(default_factory=Counter)
    skipped: Counter[Skipped] = field(default_factory=Counter)
    due: int = 0
    made: int = 0
    published: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)


def forecast_events(
    events: Iterable[Event],
    settings: Settings,
    service: ForecastService,
    counts: RunCounts | None = None,
    *,
    drain_seconds: float = DRAIN_SECONDS,
) -> Iterator[ForecastRecord]:
    """Forecast a stream of events, ordered by event time; the same forecasts as workers make of the same stream."""
    counts = counts if counts is not None else RunCounts()
    partition = Partition(0, settings)
    source = iter(events)
    last = -float("inf")
    while batch := list(islice(source, BATCH_EVENTS)):
        last = max(last, max(event.time for event in batch))
        counts.fates += partition.apply_events(batch).fates
        yield from _forecast_due(partition, settings, service, counts)
    partition.watermark.advance_to(last + max(drain_seconds, settings.forecast_delay_seconds))
    yield from _forecast_due(partition, settings, service, counts)


def _forecast_due(
    partition: Partition, settings: Settings, service: ForecastService, counts: RunCounts
) -> Iterator[ForecastRecord]:
    while partition.has_due():
        dues = partition.take_due(settings.inference_batch)
        counts.due, counts.skipped = partition.due_total, partition.skipped
        if not dues:
            continue
        counts.made += len(dues)
        for run in service.forecast(dues):
            counts.published[run.model] += len(run.records)
            counts.failed[run.model] += run.failed
            yield from run.records
        for due in dues:
            partition.published(due)
