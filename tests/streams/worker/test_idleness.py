"""Live partitions that fall silent go on by the wall clock, durably; others do not."""

from __future__ import annotations

import asyncio
import time

import msgspec
import pytest

from graph import Event, Kind
from streams.engine.raw_record import Record
from streams.settings import Settings
from tests.streams.conftest import cascade_events
from tests.streams.worker_rig import Rig


async def live_rig(settings: Settings, now: float) -> Rig:
    """A worker whose one partition has just heard of a post of the last seconds."""
    rig = Rig(settings)
    await rig.core.own({0})
    live = cascade_events("live", now - 10, [5.0])
    await rig.core.ingest({0: [Record(msgspec.json.encode(e), b"live", None, n, now) for n, e in enumerate(live)]}, "t")
    return rig


async def test_an_idle_live_partition_advances_with_the_wall_clock(
    engine_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_700_000_000.0
    monkeypatch.setattr("time.time", lambda: now)
    rig = await live_rig(engine_settings, now)
    before = rig.core.assigned[0].partition.watermark.value
    await rig.core.tick()
    assert rig.core.assigned[0].partition.watermark.value == before, "not idle for long enough"
    now += engine_settings.idle_after_seconds + 60
    await rig.core.tick()
    assert rig.core.assigned[0].partition.watermark.value == now
    assert rig.core.backlog() >= 1


async def test_an_idle_partition_of_an_archive_does_not(
    engine_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_700_000_000.0
    monkeypatch.setattr("time.time", lambda: now)
    rig = Rig(engine_settings)
    await rig.core.own({0})
    old = cascade_events("old", now - 1_000_000, [5.0])
    await rig.core.ingest({0: [Record(msgspec.json.encode(e), b"old", None, n, now) for n, e in enumerate(old)]}, "t")
    before = rig.core.assigned[0].partition.watermark.value
    now += 10 * engine_settings.idle_after_seconds
    await rig.core.tick()
    assert rig.core.assigned[0].partition.watermark.value == before


async def test_one_wrong_clock_neither_moves_a_live_partition_nor_makes_an_archive_live(
    engine_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_700_000_000.0
    monkeypatch.setattr("time.time", lambda: now)
    for age, lie, live in ((10.0, 86_400.0 * 365, True), (1_000_000.0, 1_000_000.0, False)):
        rig = Rig(engine_settings)
        await rig.core.own({0})
        events = [
            *cascade_events("c", now - age, [0.1 * n for n in range(40)]),
            Event(id="wrong", cascade="wrong", kind=Kind.POST, time=now - age + lie),
        ]
        records = [Record(msgspec.json.encode(e), e.cascade.encode(), None, n, now) for n, e in enumerate(events)]
        await rig.core.ingest({0: records}, "t")
        partition = rig.core.assigned[0].partition
        assert partition.watermark.value == pytest.approx(now - age + 3.9)
        monkeypatch.setattr("time.time", lambda: now + 100.0)
        await rig.core.tick()
        assert partition.watermark.value == pytest.approx(now + 100.0 if live else now - age + 3.9)
        monkeypatch.setattr("time.time", lambda: now)


async def test_a_watermark_moved_by_the_wall_clock_is_durable_before_a_forecast_rests_on_it(
    engine_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_700_000_000.0
    monkeypatch.setattr("time.time", lambda: now)
    rig = await live_rig(engine_settings, now)
    now += engine_settings.idle_after_seconds + 60
    await rig.core.tick()
    again = Rig(engine_settings)
    again.stores = rig.stores
    await again.core.own({0})
    assert again.core.assigned[0].partition.watermark.value == rig.core.assigned[0].partition.watermark.value == now


async def test_a_watermark_moved_by_the_wall_clock_is_durable_before_a_record_meets_it(
    engine_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_700_000_000.0
    monkeypatch.setattr("time.time", lambda: now)
    rig = await live_rig(engine_settings, now)
    now += engine_settings.idle_after_seconds + 60
    await rig.core.tick()
    partition = rig.core.assigned[0].partition
    for due in partition.take_due(100):
        partition.published(due)
    now += 60.0
    await rig.core.tick()  # nothing is due: this one rests in memory
    rig.outbox.patience = 0
    with pytest.raises(ConnectionError):
        await rig.core.ingest({0: [Record(b"no event", b"live", None, 2, now)]}, "t")
    again = Rig(engine_settings)
    again.stores = rig.stores
    await again.core.own({0})
    assert again.core.assigned[0].partition.watermark.value == partition.watermark.value == now


async def test_a_partition_that_was_given_up_while_its_clock_waited_for_a_batch_is_written_no_more(
    engine_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_700_000_000.0
    monkeypatch.setattr("time.time", lambda: now)
    rig = await live_rig(engine_settings, now)
    one, before = rig.core.assigned[0], dict(rig.stores[0].segments)
    now += engine_settings.idle_after_seconds + 60
    async with one.lock:
        tick = asyncio.create_task(rig.core.tick())
        await asyncio.sleep(0)
        await rig.core.disown(0)
    await tick
    assert rig.stores[0].segments == before


async def test_only_forecasts_of_live_partitions_have_an_age(engine_settings: Settings) -> None:
    for start, counted in ((time.time() - 200.0, True), (1_400_000_000.0, False)):
        rig = Rig(engine_settings)
        await rig.core.own({0})
        await rig.play(cascade_events("a", start, [1.0, 100.0]), 1, end=start + 190.0)
        assert rig.value("cascadecast_forecasts_made_total") > 0
        assert (rig.value("cascadecast_forecast_age_seconds_count") > 0) == counted
        assert (rig.value("cascadecast_forecast_age_seconds_sum") > 0) == counted
