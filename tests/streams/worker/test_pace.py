"""Input waits for the forecasts where it is told to, and no longer than that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph import Event, Kind
from streams.engine.forecast_file import forecast_events
from streams.engine.inference import ForecastService
from streams.engine.partition import Partition
from streams.engine.raw_record import Record
from streams.settings import Settings
from streams.worker.assigned import Assigned
from streams.worker.pace import FEWEST_IN_STEP, PACED_SHARE, Pace
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
    first = next(Pace(rig.settings, {}).steps(rig.core.assigned[0], records))
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


PACED = Settings(shed="paced", forecast_within_seconds=2.0, batch_max_events=20, allowed_lateness_seconds=0)


def owned(number: int, settings: Settings, clock: Callable[[], float], cascades: Iterable[str] = ()) -> Assigned:
    """A partition in which forecasts of these cascades are due."""
    partition = Partition(number, settings, clock=clock)
    for cascade in cascades:
        reshare = Event(f"{cascade}-", cascade, Kind.REPOST, 1001.0)
        partition.apply_events([Event(cascade, cascade, Kind.POST, 1000.0), reshare])
    partition.watermark.advance_to(2000.0)
    return Assigned(partition, None, None)  # type: ignore[arg-type]  # neither log nor flow is asked


@given(
    st.lists(st.sampled_from([b"a", b"b", b"c", b"d", None]) | st.binary(max_size=2), max_size=120),
    st.sampled_from([0.0, 0.004, 0.05]),
)
def test_a_step_touches_no_more_cascades_than_can_be_forecast_in_time(
    keys: list[bytes | None], seconds_each: float
) -> None:
    records = [Record(b"", key, offset=at) for at, key in enumerate(keys)]
    one = owned(0, PACED, lambda: 0.0)
    pace = Pace(PACED, {0: one})
    pace.took(10, 10 * seconds_each)
    steps = list(pace.steps(one, records))
    assert [record for step in steps for record in step] == records
    most = max(FEWEST_IN_STEP, int(PACED_SHARE * 2.0 / seconds_each)) if seconds_each else FEWEST_IN_STEP
    for step in steps:
        assert 0 < len(step) <= 20
        assert len({record.key for record in step}) <= most


def test_what_waits_already_takes_no_room_in_a_step_and_leaves_less_for_others() -> None:
    settings = PACED.model_copy(update={"batch_max_events": 1000})
    waiting = [f"w{n}" for n in range(20)]
    one = owned(0, settings, lambda: 0.0, waiting)
    pace = Pace(settings, {0: one})
    pace.took(64, 1.0)
    in_time = int(64 * PACED_SHARE * settings.forecast_within_seconds)
    keys = [name.encode() for pair in zip(waiting * 10, (f"n{n}" for n in range(200)), strict=True) for name in pair]
    step = next(pace.steps(one, [Record(b"", key, offset=at) for at, key in enumerate(keys)]))
    new = {record.key for record in step if record.key is not None and record.key.startswith(b"n")}
    assert len(new) == in_time - len(waiting)
    assert len(step) == 2 * len(new) + 1


def test_where_input_is_not_paced_only_the_number_of_records_ends_a_step() -> None:
    records = [Record(b"", b"%d" % at, offset=at) for at in range(50)]
    one = owned(0, PACED, lambda: 0.0)
    pace = Pace(PACED.model_copy(update={"shed": True}), {0: one})
    assert [len(step) for step in pace.steps(one, records)] == [20, 20, 10]


def test_where_input_is_paced_those_that_wait_longest_come_first_wherever_they_are() -> None:
    assigned: dict[int, Assigned] = {}
    for number, cascades in enumerate((["a", "b"], ["c"], ["d", "e", "f"])):
        assigned[number] = owned(number, PACED, partial(float, number), cascades)
        assert assigned[number].partition.backlog() == len(cascades)
    pace = Pace(PACED.model_copy(update={"inference_batch": 1}), assigned)
    assert pace.round_limits() == {0: 2, 1: 1}
    assert pace.round_limits(teaching=True) == {0: 1}


def test_where_input_is_not_paced_no_partition_starves() -> None:
    assigned = {n: owned(n, PACED, lambda: 0.0, names) for n, names in enumerate((["a"], ["b", "c", "d", "e"]))}
    pace = Pace(PACED.model_copy(update={"shed": True, "inference_batch": 2}), assigned)
    assert pace.round_limits() == {0: 2, 1: 2}


async def test_input_goes_on_where_of_all_that_waits_nothing_is_made(engine_settings: Settings) -> None:
    """Forecasts past the horizon are dropped without a round that would be published."""
    day = engine_settings.horizon_seconds
    rig = Rig(engine_settings.model_copy(update={"shed": "paced", "forecast_within_seconds": 1e-6}))
    await rig.core.own({0})
    events = [
        Event(f"c{n}-{kind.value}", f"c{n}", kind, 1000.0 + (day + n if kind is Kind.REPOST else 0.0))
        for kind in (Kind.POST, Kind.REPOST)
        for n in range(4 * FEWEST_IN_STEP)
    ]
    await asyncio.wait_for(rig.play(events, 1, batch=len(events)), 30)
    assert rig.value("cascadecast_forecasts_skipped_total", reason="past-horizon") > 0
    assert rig.total("cascadecast_forecasts_made_total") == 0


@pytest.mark.parametrize("shed", ["paced", False])
async def test_event_time_that_flies_past_the_horizon_leaves_no_post_without_a_forecast(
    engine_settings: Settings, shed: Literal["paced"] | bool
) -> None:
    """Weeks in seconds: a step may hold all of a post's life."""
    rig = Rig(engine_settings.model_copy(update={"shed": shed}))
    await rig.core.own({0})
    step = engine_settings.horizon_seconds / 10
    events = [Event("c", "c", Kind.POST, 1000.0), Event("d", "d", Kind.POST, 1000.0)]
    events += [Event(f"{c}{n}", c, Kind.REPOST, 1000.0 + n * step) for n in range(1, 20) for c in ("c", "d")]
    rig.core.assigned[0].partition.watermark.advance_to(1000.0)
    await rig.play(events, 1, batch=len(events))
    last = {str(one["cascade"]): one["observed"] for one in rig.outbox.forecasts()}
    assert last == {"c": 9, "d": 9}
