"""The engine in one process, without Kafka: events in, forecasts out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice

from graph import Cascade, Event, Watermark
from streams.alerts.records import AlertRecord
from streams.alerts.rules import RuleBook, RuleSet
from streams.alerts.telling import tell_partitions
from streams.engine.answers import give_to_learners
from streams.engine.changes import Fate
from streams.engine.due import Due, Skipped
from streams.engine.inference import ForecastService, ModelRun
from streams.engine.partition import Partition
from streams.kafka.partitioner import partition_of
from streams.records import ForecastRecord
from streams.scoring.scores import ScoreRecord, score_records
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
    scored: Counter[str] = field(default_factory=Counter)
    alerts: Counter[str] = field(default_factory=Counter)  # records by state


def forecast_events(
    events: Iterable[Event],
    settings: Settings,
    service: ForecastService,
    counts: RunCounts | None = None,
    *,
    drain_seconds: float = DRAIN_SECONDS,
    on_score: Callable[[ScoreRecord], None] | None = None,
    rules: RuleSet | None = None,
    on_alert: Callable[[AlertRecord], None] | None = None,
) -> Iterator[ForecastRecord]:
    """Forecast a stream of events, ordered by event time; the same forecasts as workers make of the same stream.

    Cascades are parted as Kafka would part them, since each partition learns for itself. ``on_score`` gets the scores,
    ``on_alert`` what becomes of alerts by the ``rules``.
    """
    counts = counts if counts is not None else RunCounts()
    run = FileRun(settings, service, counts, on_score=on_score, rules=rules, on_alert=on_alert)
    source = iter(events)
    clock = Watermark(settings.allowed_lateness_seconds, settings.max_jump_seconds)
    last = -math.inf
    while batch := list(islice(source, BATCH_EVENTS)):
        for event in batch:
            clock.observe(event.time, event.cascade)
        last = max(last, max(event.time for event in batch))
        run.apply(batch)
        yield from run.forecast_due()
    drain = max(drain_seconds, settings.forecast_delay_seconds)
    run.end_at(clock.end_of_input() + drain)
    yield from run.forecast_due()
    # What no later event confirmed is forecast all the same; but nobody has seen a cascade reach the horizon by then.
    run.know_no_more()
    run.end_at(last + drain)
    yield from run.forecast_due()


class FileRun:
    """The partitions of a run and what has come out of them."""

    def __init__(
        self,
        settings: Settings,
        service: ForecastService,
        counts: RunCounts,
        *,
        on_score: Callable[[ScoreRecord], None] | None = None,
        rules: RuleSet | None = None,
        on_alert: Callable[[AlertRecord], None] | None = None,
        numbers: Iterable[int] | None = None,
        on_departed: Callable[[Iterable[Cascade], float], None] | None = None,
        for_alerts: bool = False,
    ) -> None:
        """``numbers``: those of the partitions that this run has, None for all. ``on_departed`` gets the cascades that
        leave memory, with the watermark. ``for_alerts``: forecasts that change no alert are not made."""
        self._settings = settings
        self._service = service
        self._counts = counts
        self._on_score = on_score
        self._on_alert = on_alert
        self._on_departed = on_departed
        self._knowing = True
        book = RuleBook(rules)
        wanted = range(settings.partitions) if numbers is None else sorted(numbers)
        self.partitions = {number: Partition(number, settings, book, for_alerts=for_alerts) for number in wanted}
        self._number_of = lru_cache(maxsize=100_000)(lambda cascade: partition_of(cascade, settings.partitions))

    def apply(self, batch: Sequence[Event]) -> None:
        """Give each event to its partition."""
        parts: dict[int, list[Event]] = {}
        for event in batch:
            parts.setdefault(self._number_of(event.cascade), []).append(event)
        for number, part in parts.items():
            partition = self.partitions[number]
            changes = partition.apply_events(part)
            self._counts.fates += changes.fates
            if self._on_departed is not None and changes.departed:
                self._on_departed(changes.departed, partition.watermark.value)

    def end_at(self, watermark: float) -> None:
        """No event will follow: everything up to ``watermark`` falls due."""
        for partition in self.partitions.values():
            partition.watermark.advance_to(watermark)

    def know_no_more(self) -> None:
        """The truths that are still to come are not known, nor what becomes of alerts."""
        self._knowing = False

    def forecast_due(self) -> Iterator[ForecastRecord]:
        """Make what is due, in rounds of the partitions' earliest."""
        while any(partition.has_due() for partition in self.partitions.values()):
            dues: list[Due] = []
            for partition in self.partitions.values():
                dues += partition.take_due(self._settings.inference_batch)
                self._score(partition)
            self._count()
            if dues:
                yield from self._forecast(sorted(dues, key=lambda due: (due.as_of, due.cascade)))
            else:
                self._tell_alerts(())

    def _forecast(self, dues: Sequence[Due]) -> Iterator[ForecastRecord]:
        self._counts.made += len(dues)
        runs = self._service.forecast(dues)
        give_to_learners(dues, [answer for run in runs for answer in run.answers], self._settings.horizon_seconds)
        self._tell_alerts(runs)
        for run in runs:
            self._counts.published[run.model] += len(run.records)
            self._counts.failed[run.model] += run.failed
            yield from run.records
        for due in dues:
            due.partition.published(due)

    def _tell_alerts(self, runs: Sequence[ModelRun]) -> None:
        tell_partitions(self.partitions.values(), runs, self._service.lineup)
        for partition in self.partitions.values():
            changes = partition.take_alerts()
            for change in changes if self._knowing else ():
                self._counts.alerts[change.record.state.value] += 1
                if self._on_alert is not None:
                    self._on_alert(change.record)
            partition.alerted(changes)

    def _score(self, partition: Partition) -> None:
        truths = partition.take_truths()
        for truth in truths if self._knowing else ():
            for record in score_records(truth, self._settings.horizon_seconds):
                self._counts.scored[record.model] += 1
                if self._on_score is not None:
                    self._on_score(record)
        partition.scored(truths)

    def _count(self) -> None:
        self._counts.due = sum(partition.due_total for partition in self.partitions.values())
        self._counts.skipped = sum((partition.skipped for partition in self.partitions.values()), Counter())
