"""Input waits for the forecasts where it is told to, and no longer than that."""

from __future__ import annotations

import asyncio

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from streams.engine.forecast_file import forecast_events
from streams.engine.inference import ForecastService
from streams.engine.raw_record import Record
from streams.settings import Settings
from streams.worker.pace import FEWEST_IN_STEP, STEP_SHARE, Pace
from tests.streams.conftest import random_stream
from tests.streams.worker_rig import Rig


async def test_without_shedding_the_input_waits_for_the_forecasts(engine_settings: Settings) -> None:
    rig = Rig(engine_settings.model_copy(update={"shed": False, "max_backlog": 1}))
    await rig.core.own({0})
    records = [
        Record(msgspec.json.encode(event), event.cascade.encode(), None, n, 0.0)
        for n, event in enumerate(random_stream(15))
    ]
    ingesting = asyncio.create_task(rig.core.ingest({0: records}, "social.events"))
    done, _ = await asyncio.wait({ingesting}, timeout=0.2)
    assert not done
    forecasting = asyncio.create_task(rig.core.run_forecasts())
    await asyncio.wait_for(ingesting, 10)
    assert rig.value("cascadecast_forecasts_skipped_total", reason="superseded") == 0
    await rig.core.drain()
    await forecasting


async def test_a_paced_worker_takes_no_more_in_while_forecasts_wait_too_long(engine_settings: Settings) -> None:
    rig = Rig(engine_settings.model_copy(update={"shed": "paced", "forecast_within_seconds": 1e-6}))
    await rig.core.own({0})
    records = [
        Record(msgspec.json.encode(event), event.cascade.encode(), None, n, 0.0)
        for n, event in enumerate(random_stream(15, cascades=60))
    ]
    first = next(Pace(rig.settings, {}).steps(records))
    assert len({record.key for record in first}) == FEWEST_IN_STEP
    assert len(records) > 2 * len(first)
    ingesting = asyncio.create_task(rig.core.ingest({0: records}, "social.events"))
    done, _ = await asyncio.wait({ingesting}, timeout=0.2)
    assert not done
    assert rig.value("cascadecast_events_received_total") == len(first)
    forecasting = asyncio.create_task(rig.core.run_forecasts())
    await asyncio.wait_for(ingesting, 10)
    await rig.core.drain()
    await forecasting
    assert rig.value("cascadecast_events_received_total") == len(records)


async def test_a_paced_worker_leaves_out_only_what_a_later_forecast_replaces(
    engine_settings: Settings, doubling_service: ForecastService
) -> None:
    events = random_stream(16, cascades=40)
    every = {record.id: record for record in forecast_events(events, engine_settings, doubling_service)}
    rig = Rig(engine_settings.model_copy(update={"shed": "paced"}))
    await rig.core.own({0})
    await rig.play(events, 1)
    made = rig.outbox.forecasts()
    assert {str(record["id"]) for record in made} <= set(every)
    latest: dict[str, float] = {}
    for record in every.values():
        latest[record.cascade] = max(latest.get(record.cascade, 0.0), record.as_of)
    assert {(record["cascade"], record["as_of"]) for record in made} >= set(latest.items())
    due, skipped = rig.total("cascadecast_forecasts_due_total"), rig.total("cascadecast_forecasts_skipped_total")
    assert due == rig.total("cascadecast_forecasts_made_total") + skipped


PACED = Settings(shed="paced", forecast_within_seconds=2.0, batch_max_events=20)


@given(
    st.lists(st.sampled_from([b"a", b"b", b"c", b"d", None]) | st.binary(max_size=2), max_size=120),
    st.sampled_from([0.0, 0.004, 0.05]),
)
def test_a_step_touches_no_more_cascades_than_can_be_forecast_meanwhile(
    keys: list[bytes | None], seconds_each: float
) -> None:
    records = [Record(b"", key, offset=at) for at, key in enumerate(keys)]
    pace = Pace(PACED, {})
    pace.took(10, 10 * seconds_each)
    steps = list(pace.steps(records))
    assert [record for step in steps for record in step] == records
    most = max(FEWEST_IN_STEP, int(STEP_SHARE * 2.0 / seconds_each)) if seconds_each else FEWEST_IN_STEP
    for step in steps:
        assert 0 < len(step) <= 20
        assert len({record.key for record in step}) <= most


def test_where_input_is_not_paced_only_the_number_of_records_ends_a_step() -> None:
    records = [Record(b"", b"%d" % at, offset=at) for at in range(50)]
    pace = Pace(PACED.model_copy(update={"shed": True}), {})
    assert [len(step) for step in pace.steps(records)] == [20, 20, 10]
