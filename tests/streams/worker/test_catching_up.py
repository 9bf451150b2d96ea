"""A consumer that lags a day: what it makes of the backlog is what it would have made in time, or is counted."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from graph import Event
from streams.settings import Settings
from tests.streams.conftest import random_stream
from tests.streams.worker_rig import Rig


async def made(events: Sequence[Event], settings: Settings, batch: int) -> tuple[Rig, dict[object, dict[str, object]]]:
    """By a worker of two partitions that gets so many records at once."""
    rig = Rig(settings)
    await rig.core.own({0, 1})
    await rig.play(events, 2, batch)
    forecasts = rig.outbox.forecasts()
    found = {record["id"]: record for record in forecasts}
    assert len(found) == len(forecasts)
    return rig, found


@pytest.mark.parametrize("batch", [7, 4000])
async def test_a_day_is_caught_up_with_by_the_forecasts_of_the_day(batch: int, engine_settings: Settings) -> None:
    """Whether the day comes as it happens or at once, with the input held back."""
    settings = engine_settings.model_copy(update={"shed": False, "max_backlog": 50})
    events = random_stream(21, cascades=60, span=86_400.0)
    _, in_time = await made(events, settings, 50)
    _, late = await made(events, settings, batch)
    assert late == in_time
    assert len(late) > 300


async def test_under_overload_the_largest_are_forecast_and_every_other_forecast_is_counted(
    engine_settings: Settings,
) -> None:
    events = random_stream(21, cascades=60, span=86_400.0)
    every, whole = await made(events, engine_settings.model_copy(update={"shed": False}), 50)
    rig, kept = await made(events, engine_settings.model_copy(update={"max_backlog": 20}), 4000)
    assert kept.keys() < whole.keys()
    assert all(kept[one]["observed"] == whole[one]["observed"] for one in kept)
    superseded = rig.value("cascadecast_forecasts_skipped_total", reason="superseded")
    assert superseded >= len(whole) - len(kept) > 100
    due = rig.value("cascadecast_forecasts_due_total")
    assert due == every.value("cascadecast_forecasts_due_total")
    assert due == len(kept) + rig.total("cascadecast_forecasts_skipped_total")
