"""From a touched cascade to its forecast, as the benchmark reckons it."""

from __future__ import annotations

import math

import numpy as np

from graph import Event, Kind
from streams.bench.promise import LEAST_SECONDS, Course, rows, touched_to_forecast

DAY = 86_400.0


def event(number: int, time: float, kind: Kind = Kind.REPOST) -> Event:
    return Event(f"e{number}", "c", kind, time, parent=None if kind is Kind.POST else "e0")


def waits(
    events: list[Event], walls: list[float], forecasts: list[tuple[float, float]], until: float = math.inf
) -> list[float]:
    places = [(0, number) for number in range(len(events))]
    found = touched_to_forecast(events, places, lambda _, offset: walls[offset], {"c": forecasts}, until)
    return [round(float(wait), 6) for wait in found]


def test_the_first_forecast_that_contains_the_event_counts() -> None:
    events = [event(0, 1000.0, Kind.POST), event(1, 1010.0)]
    forecasts = [(5.5, 1009.0), (6.0, 1010.0), (7.0, 1020.0)]
    assert waits(events, [5.0, 5.25], forecasts) == [0.75]


def test_of_a_second_the_first_event_counts() -> None:
    events = [event(0, 1000.0, Kind.POST), event(1, 1010.0), event(2, 1020.0), event(3, 1030.0)]
    assert waits(events, [5.0, 5.25, 5.75, 6.5], [(7.0, 1030.0)]) == [1.75, 0.5]


def test_a_touch_that_was_never_forecast_never_ends() -> None:
    assert waits([event(0, 1000.0, Kind.POST), event(1, 1010.0)], [5.0, 5.0], [(6.0, 1009.0)]) == [math.inf]


def test_what_no_forecast_is_made_of_is_left_out() -> None:
    events = [event(0, 1000.0, Kind.POST), event(1, 1000.0 + DAY), event(2, 1010.0), event(3, 1015.0, Kind.UNDO)]
    assert waits(events, [5.0, 6.0, 9.0, 7.0], [], until=8.0) == []


def test_of_a_post_that_is_not_there_the_first_event_counts_as_its_beginning() -> None:
    events = [event(1, 1000.0), event(2, 1000.0 + DAY)]
    assert waits(events, [5.0, 6.0], [(5.5, 1000.0)]) == [0.5]


def told(seconds: float, waits: list[float]) -> dict[str, float]:
    course = Course(seconds, 8000.0 * seconds, 100.0 * seconds, np.array(waits))
    return {str(one["name"]): float(one["value"]) for one in rows("paced", course, "plain Faust", 2000.0)}


def test_the_share_in_time_is_told_with_the_rate_at_which_it_was_reached() -> None:
    found = told(30.0, [0.5, 1.0, 2.0, 2.1])
    assert found["paced: of them forecast within 2 s, at 8,000 events/s"] == 0.75
    assert found["paced: events a second"] == 8000.0


def test_a_run_of_a_moment_says_that_it_tells_nothing() -> None:
    (name,) = told(LEAST_SECONDS - 0.1, [0.5])
    assert "too short" in name
    assert "give more events" in name


def test_a_run_that_touches_nothing_says_so() -> None:
    assert told(30.0, []) == {"paced: touched cascades": 0.0}
