"""A partition with rules, fed and crashed as one likes: what alert tests run on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from graph import Event
from streams.alerts.moment import Quantity
from streams.alerts.quiet_hours import QuietHours
from streams.alerts.records import AlertRecord, AlertState, Severity
from streams.alerts.rules import Condition, Rule, RuleBook, RuleSet
from streams.alerts.telling import tell_partitions
from streams.engine.answers import give_to_learners
from streams.engine.due import Due
from streams.engine.inference import ForecastService
from streams.engine.partition import Partition
from streams.settings import Settings
from streams.state.log import SegmentLog
from streams.state.store import MemorySegmentStore
from tests.streams.conftest import apply
from tests.streams.learning_engine import HOUR, service


def at_least(quantity: Quantity, bound: float, keep: float | None = None, level: float = float("nan")) -> Condition:
    return Condition(quantity, bound, keep, level=level)


def rule(name: str, *conditions: Condition, **more: object) -> Rule:
    return replace(Rule(name, conditions), **more)  # type: ignore[arg-type]


EVERYTHING = RuleSet(
    (
        rule(
            "large", at_least(Quantity.EXPECTED, 12.0, 9.0), severity=Severity.CRITICAL, ignores_quiet_hours=True,
            labels={"team": "news"},
        ),
        rule("fast", at_least(Quantity.RATE, 8.0, 5.0), cool_down_seconds=1200.0, update_factor=1.2),
        rule("speeding", at_least(Quantity.ACCELERATION, 1.5, 1.0), ignores_cap=True),
        rule("likely", at_least(Quantity.PROBABILITY, 0.6, 0.4, level=15.0), severity=Severity.INFO),
        rule("top", Condition(Quantity.TOP_SHARE, 0.2, 0.4, at_most=True), update_factor=1.1),
    ),
    cap_per_hour=12.0,
    quiet_hours=QuietHours.parse(["20:00-22:00"], "Europe/Berlin"),
    population_seconds=2 * HOUR,
    population_minimum=5,
)  # fmt: skip
"""Rules of every kind, so loose that small cascades open and resolve them often."""


@dataclass
class Told:
    """Alert records by id; a repeat must say the same."""

    records: dict[str, AlertRecord] = field(default_factory=dict)
    order: list[AlertRecord] = field(default_factory=list)
    repeats: int = 0

    def add(self, records: Iterable[AlertRecord]) -> None:
        for record in records:
            if record.id in self.records:
                self.repeats += 1
                assert self.records[record.id] == record
            self.records[record.id] = record
            self.order.append(record)

    def lives(self) -> dict[str, list[AlertRecord]]:
        """The records of each alert, in order of time."""
        found: dict[str, list[AlertRecord]] = {}
        rank = {AlertState.OPENED: 0, AlertState.UPDATED: 1, AlertState.RESOLVED: 2}
        for record in sorted(self.records.values(), key=lambda one: (one.as_of, rank[one.state])):
            found.setdefault(record.alert, []).append(record)
        return found


def round_of(
    partition: Partition, models: ForecastService, config: Settings, limit: int, told: Told, *, out: bool = True
) -> list[Due]:
    """One round; its forecasts are not acknowledged yet, its alerts are if ``out``."""
    dues = partition.take_due(limit)
    partition.scored(partition.take_truths())
    runs = models.forecast(dues)
    give_to_learners(dues, [answer for run in runs for answer in run.answers], config.horizon_seconds)
    tell_partitions([partition], runs, models.lineup)
    changes = partition.take_alerts()
    told.add(change.record for change in changes)
    if out:
        partition.alerted(changes)
    return dues


def finish(partition: Partition, models: ForecastService, config: Settings, told: Told, limit: int = 64) -> None:
    while partition.has_due():
        for due in round_of(partition, models, config, limit, told):
            partition.published(due)


def end(partition: Partition, events: Sequence[Event], models: ForecastService, config: Settings, told: Told) -> None:
    partition.watermark.advance_to(max(event.time for event in events) + 4 * HOUR)
    finish(partition, models, config, told)


def play(
    events: Sequence[Event], cuts: Iterable[int], config: Settings, rules: RuleSet, limit: int = 64
) -> tuple[Told, Partition]:
    """Apply the events in batches cut where told, and everything that is due after each."""
    models, partition, told = service(config), Partition(0, config, RuleBook(rules)), Told()
    edges = [0, *sorted(cuts), len(events)]
    for start, stop in pairwise(edges):
        partition.apply_events(events[start:stop])
        finish(partition, models, config, told, limit)
    end(partition, events, models, config, told)
    return told, partition


def recovered(store: MemorySegmentStore, config: Settings, book: RuleBook) -> tuple[Partition, SegmentLog]:
    partition, log = Partition(0, config, book), SegmentLog(store)
    asyncio.run(log.recover(partition))
    return partition, log


def crashing_run(
    events: Sequence[Event],
    config: Settings,
    rules: RuleSet,
    rng: random.Random,
    batch: int,
    told: Told,
) -> Partition:
    """Play with crashes anywhere: what was computed may be acknowledged or not."""
    models, store, book = service(config), MemorySegmentStore(), RuleBook(rules)
    partition, log = recovered(store, config, book)
    position = reached = 0
    while position < len(events):
        changes = apply(partition, events[position : position + batch], position)
        reached = max(reached, position + batch)
        asyncio.run(log.append(partition, changes, reached))
        position += batch
        acknowledged = rng.random() < 0.7  # else: some of what is computed from now on is never acknowledged
        for _ in range(rng.randrange(30)):
            for due in round_of(partition, models, config, rng.randrange(1, 20), told, out=acknowledged):
                if acknowledged or rng.random() < 0.9:
                    partition.published(due)
        if rng.random() < 0.3:
            partition, log = recovered(store, config, book)
            position = max(0, position - rng.randrange(3 * batch))
    partition, log = recovered(store, config, book)
    apply(partition, events, 0)
    end(partition, events, models, config, told)
    return partition
