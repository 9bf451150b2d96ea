"""Times that lie: forecasts of everybody else are what they would be without them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from graph import Event, Kind
from streams.engine.changes import Fate
from streams.engine.due import Skipped
from streams.engine.forecast_file import forecast_events
from streams.engine.inference import ForecastService
from streams.engine.partition import Partition
from streams.scoring.scores import ScoreRecord
from streams.settings import Settings
from streams.state.log import SegmentLog
from streams.state.store import MemorySegmentStore
from tests.streams.conftest import apply, cascade_events, random_stream
from tests.streams.engine.test_partition import Made, drain, settings
from tests.streams.worker_rig import Rig

YEAR = 365 * 86_400.0


def poisoned(events: Sequence[Event], seed: int, number: int) -> list[Event]:
    """``number`` posts and strays of cascades of their own put anywhere, their clocks off by an hour to ten years."""
    rng = random.Random(seed)
    out = list(events)
    for n in range(number):
        at = rng.randrange(len(out) + 1)
        near = out[min(at, len(out) - 1)].time
        lead = rng.choice([3700.0, 86_400.0, YEAR, 10 * YEAR, -3700.0, -86_400.0, -YEAR])
        kind = rng.choice([Kind.POST, Kind.REPOST])
        out.insert(at, Event(id=f"w{n}", cascade=f"w{rng.randrange(3)}", kind=kind, time=near + lead, user="w"))
    return out


def made_of(events: Sequence[Event], batch: int, config: Settings, end: float) -> list[Made]:
    """Forecasts of all cascades but the poisoned."""
    partition = Partition(0, config)
    made: list[Made] = []
    for start in range(0, len(events), batch):
        partition.apply_events(events[start : start + batch])
        made += drain(partition)
    partition.watermark.advance_to(end)
    made += drain(partition)
    return [one for one in made if not one[0].startswith("w")]


@effort(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 100), st.sampled_from([0, 15]))
def test_poisoned_events_change_no_forecast_of_another_cascade(seed: int, number: int, batch: int, late: int) -> None:
    """Wherever they stand, also at the very beginning; with disorder within the allowed lateness."""
    rng = random.Random(seed)
    events = sorted(random_stream(seed, cascades=40), key=lambda event: event.time + rng.uniform(0, late))
    config = settings(allowed_lateness_seconds=20)
    end = max(event.time for event in events) + 3600
    assert sorted(made_of(poisoned(events, seed, number), batch, config, end)) == sorted(
        made_of(events, 1000, config, end)
    )


@effort(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 80))
def test_recovery_at_any_cut_gives_the_same_clock(seed: int, batch: int) -> None:
    rng = random.Random(seed)
    events = poisoned(random_stream(seed, cascades=12), seed, 10)
    whole = Partition(0, settings())
    apply(whole, events, 0)
    store = MemorySegmentStore()
    partition, log = recovered(store)
    position = 0
    while position < len(events):
        changes = apply(partition, events[position : position + batch], position)
        position = min(position + batch, len(events))
        asyncio.run(log.append(partition, changes, position))
        if rng.random() < 0.4:
            partition, log = recovered(store)
            again = rng.randrange(2 * batch)  # Kafka sends some once more
            apply(partition, events[max(0, position - again) : position], max(0, position - again))
    assert partition.watermark.value == whole.watermark.value
    assert partition.watermark.evidence() == whole.watermark.evidence()


def recovered(store: MemorySegmentStore, config: Settings | None = None) -> tuple[Partition, SegmentLog]:
    partition, log = Partition(0, config or settings()), SegmentLog(store)
    asyncio.run(log.recover(partition))
    return partition, log


def test_cascades_born_in_the_future_are_bounded_and_their_forecasts_with_them() -> None:
    """A source that is a year ahead, two records of five; and the same after a crash."""
    store = MemorySegmentStore()
    partition, log = recovered(store)
    partition.store.max_ahead = 64
    events = random_stream(1, cascades=400)
    mixed: list[Event] = []
    for n, event in enumerate(events):
        mixed.append(event)
        if n % 3 == 2:
            wrong = cascade_events(f"w{n}", event.time + YEAR + n, [5.0])
            mixed += wrong if n % 2 else wrong[::-1]
    for at in range(0, len(mixed), 100):
        changes = apply(partition, mixed[at : at + 100], at)
        drain(partition)
        asyncio.run(log.append(partition, changes, at + 100))
        ahead = [cascade.id for cascade in partition.store if cascade.id.startswith("w")]
        assert len(ahead) <= 64
        assert sum(waiting.cascade.startswith("w") for waiting in partition.schedule.all_pending()) <= 2 * 64
    assert partition.skipped[Skipped.GONE] > 500, "what was forgotten is counted"
    assert partition.watermark.value < events[-1].time + 1
    again = Partition(0, settings())
    again.store.max_ahead = 64
    SegmentLog(store).load(again)
    assert {cascade.id for cascade in again.store} == {cascade.id for cascade in partition.store}
    assert again.schedule.all_pending() == partition.schedule.all_pending()


def test_events_too_far_behind_are_late_and_counted() -> None:
    partition = Partition(0, settings())
    events = random_stream(2)
    partition.apply_events(events)
    behind = cascade_events("behind", events[-1].time - YEAR, [1.0, 2.0])
    assert partition.apply_events(behind).fates == {Fate.LATE: 3}
    assert "behind" not in partition.store


@pytest.mark.parametrize("partitions", [1, 3])
async def test_a_file_run_and_workers_agree_about_poisoned_streams(
    partitions: int, engine_settings: Settings, doubling_service: ForecastService
) -> None:
    events = random_stream(11)
    rig = Rig(engine_settings.model_copy(update={"shed": False}))
    await rig.core.own(set(range(partitions)))
    mixed = poisoned(events, 5, 12)
    await rig.play(mixed, partitions, end=max(event.time for event in events) + 3600)
    assert rig.value("cascadecast_events_ahead_of_clock_total") > 0
    config = engine_settings.model_copy(update={"partitions": partitions})
    from_file = {record.id: msgspec.to_builtins(record) for record in forecast_events(mixed, config, doubling_service)}
    clean = {record.id for record in forecast_events(events, config, doubling_service)}
    published = {str(record["id"]) for record in rig.outbox.forecasts()}
    assert clean <= published <= set(from_file)
    assert all(from_file[one]["cascade"].startswith("w") for one in set(from_file) - clean)


def scores_of(events: Sequence[Event], config: Settings, service: ForecastService) -> dict[str, ScoreRecord]:
    found: dict[str, ScoreRecord] = {}
    list(forecast_events(events, config, service, on_score=lambda record: found.setdefault(record.id, record)))
    return found


def test_the_end_of_a_file_scores_no_cascade_before_its_time(
    engine_settings: Settings, doubling_service: ForecastService
) -> None:
    """In order of time the poisoned event is the last: everything is forecast, and nobody is held against a truth that
    is a year away."""
    config = engine_settings.model_copy(update={"horizon_seconds": 7200.0, "partitions": 2})
    events = random_stream(4, span=20_000.0)
    last = Event(id="w", cascade="c1", kind=Kind.REPOST, time=events[-1].time + YEAR)
    expected = scores_of(events, config, doubling_service)
    assert expected
    assert scores_of([*events, last], config, doubling_service) == expected


def test_a_file_of_one_event_or_one_cascade_is_forecast(
    engine_settings: Settings, doubling_service: ForecastService
) -> None:
    config = engine_settings.model_copy(update={"minimum_observed": 0})
    assert len(list(forecast_events(cascade_events("c", 1.0e9, []), config, doubling_service))) == 1
    made = list(forecast_events(cascade_events("c", 1.0e9, [60.0, 40_000.0]), config, doubling_service))
    assert [record.observed for record in made] == [0, 1, 2]
