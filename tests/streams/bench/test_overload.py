"""The benchmark of overload: a capacity is kept, and the same stream gives the same alerts."""

from __future__ import annotations

from streams.bench.overload import ORDERS, play, rules_from
from streams.engine.inference import ForecastService
from streams.settings import Settings
from tests.streams.conftest import random_stream


def test_no_more_forecasts_are_made_than_the_capacity_allows_and_no_other_posts_are_told_of(
    engine_settings: Settings, doubling_service: ForecastService
) -> None:
    events = random_stream(21, cascades=60)
    rules = rules_from(30.0)
    whole = play(events, engine_settings, doubling_service, rules)
    seconds = events[-1].time - events[0].time
    assert whole.opened
    for order in ORDERS.values():
        capacity = whole.made / seconds / 5
        found = play(events, engine_settings, doubling_service, rules, capacity, order)
        assert 0 < found.made <= whole.made / 5 + 1 + capacity * 10
        assert set(found.opened) <= set(whole.opened)
        assert found == play(events, engine_settings, doubling_service, rules, capacity, order)
