"""Input waits for the forecasts where it is told to, and no longer than that."""

from __future__ import annotations

import asyncio

import msgspec

from streams.forecast_file import forecast_events
from streams.inference import ForecastService
from streams.intake import PACED_EVENTS
from streams.partition import Record
from streams.settings import Settings
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
    assert len(records) > 2 * PACED_EVENTS
    ingesting = asyncio.create_task(rig.core.ingest({0: records}, "social.events"))
    done, _ = await asyncio.wait({ingesting}, timeout=0.2)
    assert not done
    assert rig.value("cascadecast_events_received_total") == PACED_EVENTS
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
