"""A partition whose cascades sleep until they are needed does what one does whose cascades were all restored."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Sequence

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from graph import Cascade, Event, Kind
from graph.dormant import Dormant
from streams.engine.changes import Changes
from streams.engine.partition import Partition
from streams.settings import Settings
from streams.state.keys import in_order
from streams.state.log import SegmentLog
from streams.state.store import MemorySegmentStore
from tests.streams.conftest import apply, cascade_events
from tests.streams.learning_engine import Out, finish, learning_settings, service
from tests.streams.state.test_log import state_of

HOURS = 3600.0


def messy_stream(rng: random.Random, cascades: int, seconds: float) -> list[Event]:
    """Most cascades grow in order; some lack their post, take things back, answer what comes later, or come late."""
    events: list[tuple[float, Event]] = []
    for number in range(cascades):
        name, start = f"c{number}", rng.uniform(0.0, seconds)
        disorder = rng.choice([0.0, 0.0, 0.0, 900.0])
        size = min(60, int(rng.paretovariate(0.6)))
        for at, event in enumerate(cascade_events(name, start, sorted(rng.uniform(0, 4000) for _ in range(size)))):
            if at == 0 and rng.random() < 0.1:
                continue
            parent = rng.choice([name, name, None, f"{name}/{rng.randrange(size)}"]) if at else None
            followers = rng.choice([None, rng.randrange(1000)])
            told = msgspec.structs.replace(event, parent=parent, followers=followers)
            events.append((event.time + rng.uniform(0.0, disorder), told))
            if disorder and rng.random() < 0.1:
                undo = Event(f"{event.id}!", name, Kind.UNDO, event.time + 60.0, parent=event.id)
                events.append((event.time + rng.uniform(0.0, disorder), undo))
    return [event for _, event in sorted(events, key=lambda arrival: arrival[0])]


class Run:
    """A partition, its log and what came out of it."""

    def __init__(self, config: Settings, *, lazy: bool, max_bytes: float = math.inf) -> None:
        self.config = config
        self.max_bytes = max_bytes
        self.lazy = lazy
        self.segments = MemorySegmentStore()
        self.models = service(config)
        self.out = Out()
        self.asleep = 0
        self.recover()

    def recover(self) -> None:
        self.partition, self.log = Partition(0, self.config), SegmentLog(self.segments)
        self.partition.store.max_bytes = self.max_bytes
        self.log.load(self.partition)
        self.asleep += sum(isinstance(one, Dormant) for one in self.partition.store._live.values())
        if not self.lazy:
            assert all(isinstance(one, Cascade) for one in self.partition.store)
            assert not any(isinstance(one, Dormant) for one in self.partition.store._live.values())
        asyncio.run(self.log.open_epoch(self.partition))

    def take_in(self, events: Sequence[Event], offset: int, *, forecast: bool) -> tuple[object, ...]:
        changes = apply(self.partition, events, offset)
        if forecast:
            finish(self.partition, self.models, self.config, self.out)
        asyncio.run(self.log.append(self.partition, changes, offset + len(events)))
        return seen(changes), self.partition.store.bytes, self.log.needed_bytes, self.partition.unforecast_since()


def stored(run: Run) -> list[tuple[int, int, bytes]]:
    """What lies in the log; owners are numbers by chance."""
    return [(*record.position[:2], record.value) for record in in_order(run.segments.items())]


def seen(changes: Changes) -> tuple[object, ...]:
    left = [(cascade.id, cascade.size, cascade.snapshot()) for cascade in changes.departed]
    return changes.fates, list(changes.touched), changes.left, left, changes.departures


@settings(max_examples=15)
@given(
    st.integers(0, 10**6),
    st.integers(3, 40),
    st.sampled_from([5, 1000]),
    st.booleans(),
    st.sampled_from([1e4, math.inf]),
)
def test_whether_cascades_sleep_changes_nothing(
    seed: int, batch: int, max_live: int, may_idle: bool, max_bytes: float
) -> None:
    """Over crashes, maturity, evictions, late and taken back events: the same changes, forecasts, scores and bytes."""
    rng = random.Random(seed)
    config = learning_settings(
        horizon_seconds=HOURS,
        max_live_cascades=max_live,
        idle_seconds=1200.0 if may_idle else None,
        allowed_lateness_seconds=60,
    )
    events = messy_stream(rng, cascades=12, seconds=4 * HOURS)
    lazy, eager = (Run(config, lazy=lazy, max_bytes=max_bytes) for lazy in (True, False))
    for start in range(0, len(events), batch):
        if crash := rng.random() < 0.2:
            lazy.recover()
            eager.recover()
        again = rng.randrange(batch) if crash else 0  # offsets are committed behind the state
        since = max(0, start - again)
        forecast = rng.random() < 0.7
        told = [one.take_in(events[since : start + batch], since, forecast=forecast) for one in (lazy, eager)]
        assert told[0] == told[1]
    lazy.recover()
    eager.recover()
    assert stored(lazy) == stored(eager)
    assert state_of(lazy.partition) == state_of(eager.partition)
    assert lazy.out.forecasts == eager.out.forecasts
    assert lazy.out.scores == eager.out.scores


def test_a_cascade_sleeps_until_its_next_event() -> None:
    config = learning_settings(minimum_observed=100)
    run = Run(config, lazy=True)
    events = [event for number in range(5) for event in cascade_events(f"c{number}", 1000.0 + number, [1.0, 2.0])]
    run.take_in(sorted(events, key=lambda event: event.time), 0, forecast=True)
    run.recover()
    assert run.asleep == 5
    late = Event("late", "c3", Kind.REPOST, 1010.0, parent="c3")
    run.take_in([late], len(events), forecast=False)
    kinds = [type(run.partition.store._live[f"c{number}"]) for number in range(5)]
    assert kinds == [Dormant, Dormant, Dormant, Cascade, Dormant]
    assert run.partition.store.get("c3").size == 3  # type: ignore[union-attr]


def test_what_sleeps_is_booked_as_if_it_were_awake() -> None:
    config = learning_settings(minimum_observed=100)
    run = Run(config, lazy=True)
    run.take_in(messy_stream(random.Random(7), cascades=30, seconds=600.0), 0, forecast=False)
    booked = run.partition.store.bytes
    run.recover()
    assert run.asleep > 10
    assert run.partition.store.bytes == booked == sum(cascade.memory_bytes for cascade in run.partition.store)
