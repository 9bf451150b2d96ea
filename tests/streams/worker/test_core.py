"""The worker's work, without Kafka: what goes in is made durable, what is due comes out, and the counts add up."""

from __future__ import annotations

import json
from unittest.mock import Mock

import msgspec
import pytest

from streams.engine.forecast_file import RunCounts, forecast_events
from streams.engine.inference import ForecastService
from streams.engine.raw_record import Record
from streams.settings import Settings
from streams.worker import publication
from tests.streams.conftest import cascade_events, random_stream
from tests.streams.worker_rig import Notebook, Rig


@pytest.mark.parametrize("partitions", [1, 3])
async def test_workers_and_a_file_run_make_the_same_forecasts(
    partitions: int, engine_settings: Settings, doubling_service: ForecastService
) -> None:
    events = random_stream(11)
    rig = Rig(engine_settings.model_copy(update={"shed": False, "max_backlog": 20}))
    await rig.core.own(set(range(partitions)))
    await rig.play(events, partitions)
    from_file = list(forecast_events(events, engine_settings, doubling_service))
    assert len(from_file) > 100
    by_id = {record.id: msgspec.to_builtins(record) for record in from_file}
    published = {str(record["id"]): record for record in rig.outbox.forecasts()}
    assert json.loads(json.dumps(by_id)) == published


async def test_the_counts_add_up(engine_settings: Settings) -> None:
    events = random_stream(12)
    events += events[10:20]  # repeated
    rig = Rig(engine_settings)
    await rig.core.own({0, 1})
    await rig.play(events, 2)
    await rig.core.ingest({0: [Record(b"garbage", b"k", None, rig.next_offset(0), 1.5)]}, "social.events")
    assert rig.total("cascadecast_events_received_total") == len(events) + 2 + 1
    assert rig.total("cascadecast_events_total") == len(events) + 2 + 1
    assert rig.value("cascadecast_events_total", fate="duplicate") == 10
    due, made = rig.total("cascadecast_forecasts_due_total"), rig.total("cascadecast_forecasts_made_total")
    assert due == made + rig.total("cascadecast_forecasts_skipped_total")
    assert made == rig.total("cascadecast_forecasts_published_total") == len(rig.outbox.forecasts())


async def test_forecasts_that_kafka_did_not_take_are_made_again_after_recovery(engine_settings: Settings) -> None:
    events = random_stream(14)
    rig = Rig(engine_settings)
    await rig.core.own({0})
    rig.outbox.patience = 3
    with pytest.raises(ConnectionError):  # the worker must not go on as if they were out
        await rig.play(events, 1)
    assert 0 < len(rig.outbox.forecasts()) < rig.total("cascadecast_forecasts_due_total")
    again = Rig(engine_settings)
    again.stores = rig.stores
    await again.core.own({0})
    await again.play(events, 1)  # nothing was committed
    complete = Rig(engine_settings)
    await complete.core.own({0})
    await complete.play(events, 1)
    both = {r["id"]: r for r in rig.outbox.forecasts() + again.outbox.forecasts()}
    assert both == {r["id"]: r for r in complete.outbox.forecasts()}


@pytest.mark.parametrize("crash_after", [1, 2, 5, 9, 14])
async def test_with_notes_of_what_is_out_a_crash_repeats_nothing(engine_settings: Settings, crash_after: int) -> None:
    events = random_stream(18)
    book = Notebook()
    first = Rig(engine_settings, outputs=book.outputs())
    first.outputs.patience = crash_after
    await first.core.own({0})
    with pytest.raises(ConnectionError):
        await first.play(events, 1)
    second = Rig(engine_settings, outputs=book.outputs())
    second.stores = first.stores
    await second.core.own({0})
    await second.play(events, 1)
    ids = [json.loads(output.message[1])["id"] for output in book.out if output.topic == "forecasts"]
    undisturbed = Rig(engine_settings)
    await undisturbed.core.own({0})
    await undisturbed.play(events, 1)
    assert sorted(ids) == sorted(str(record["id"]) for record in undisturbed.outbox.forecasts())
    assert second.total("cascadecast_forecasts_made_total") == second.total(
        "cascadecast_forecasts_published_total"
    ) + second.value("cascadecast_outputs_withheld_total", kind="forecast")


async def test_a_cascade_that_a_model_cannot_digest_costs_only_its_own_forecast(engine_settings: Settings) -> None:
    events = cascade_events("fine", 1000.0, [1.0]) + cascade_events("indigestible", 1000.0, [1.0])
    rig = Rig(engine_settings)
    await rig.core.own({0})
    await rig.play(sorted(events, key=lambda event: event.time), 1)
    assert {record["cascade"] for record in rig.outbox.forecasts()} == {"fine"}
    failed = rig.value("cascadecast_forecasts_failed_total", model="doubling", role="champion")
    assert failed >= 1
    assert rig.total("cascadecast_forecasts_made_total") == failed + len(rig.outbox.forecasts())


async def test_of_many_forecasts_that_fail_one_is_told_with_its_post_and_the_error(
    engine_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Mock()
    monkeypatch.setattr(publication, "log", told)
    events = [event for n in range(20) for event in cascade_events(f"indigestible {n}", 1000.0, [1.0, 90.0])]
    rig = Rig(engine_settings)
    await rig.core.own({0})
    await rig.play(sorted(events, key=lambda event: event.time), 1)
    assert rig.value("cascadecast_forecasts_failed_total", model="doubling", role="champion") > 1
    told.warning.assert_called_once()
    fault = told.warning.call_args.kwargs
    assert (fault["model"], fault["error"]) == ("doubling", "RuntimeError('a cascade this model cannot digest')")
    assert fault["cascade"].startswith("indigestible ")


async def test_cascades_that_leave_are_counted_by_reason(engine_settings: Settings) -> None:
    rig = Rig(engine_settings.model_copy(update={"max_live_cascades": 50}))
    await rig.core.own({0})
    await rig.play(random_stream(5, cascades=120), 1)
    partition = rig.core.assigned[0].partition
    left = rig.total("cascadecast_cascades_departed_total")
    assert (
        left == rig.value("cascadecast_cascades_departed_total", reason="evicted") == 120 - len(partition.store) >= 70
    )
    assert rig.value("cascadecast_live_cascades_bytes", partition="0") == partition.store.bytes > 0


def test_run_counts_of_a_file_add_up(engine_settings: Settings, doubling_service: ForecastService) -> None:
    counts = RunCounts()
    events = random_stream(16)
    records = list(forecast_events(events, engine_settings, doubling_service, counts))
    assert counts.fates.total() == len(events)
    assert counts.due == counts.made + counts.skipped.total()
    assert counts.published["doubling"] == len(records) == counts.made
