"""At most so many alerts an hour in the long run, and the most important ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.alerts.cap import BAR_SECONDS, bar, importance_bin, left
from streams.alerts.histograms import Slots, count
from streams.alerts.ledger import CANDIDATES


@given(st.floats(0.01, 100.0), st.lists(st.floats(0, 5000), max_size=300))
def test_no_more_is_spent_than_the_cap_and_what_the_bucket_held(per_hour: float, gaps: list[float]) -> None:
    budget, now, spent = None, 0.0, 0
    for gap in gaps:
        now += gap
        room = left(budget, now, per_hour)
        if room >= 1.0:
            budget, spent = (room - 1.0, now), spent + 1
    assert spent <= max(1.0, per_hour) + now * per_hour / 3600.0 + 1e-6


def test_what_is_left_grows_with_event_time_and_not_beyond_an_hours_worth() -> None:
    assert left(None, 0.0, 4.0) == 4.0
    assert left((0.0, 1000.0), 1000.0 + 900.0, 4.0) == pytest.approx(1.0)
    assert left((0.0, 1000.0), 1e9, 4.0) == 4.0
    assert left((0.0, 1000.0), 1e9, 0.25) == 1.0, "a small part of a cap still makes an alert"
    assert left((0.5, 1000.0), 900.0, 4.0) == 0.5, "time does not go back"


def candidates(hours: int, importances: list[float]) -> Slots:
    slots: Slots = {}
    for hour in range(hours):
        for importance in importances:
            count(slots, hour * 3600.0, CANDIDATES, importance_bin(importance))
    return slots


def test_the_bar_lets_about_as_many_pass_as_the_cap_allows() -> None:
    known = candidates(6, [float(one) for one in range(10)])  # ten an hour
    for per_hour in (1.0, 3.0, 7.0):
        level = bar(known, BAR_SECONDS, 0.0, per_hour)
        assert sum(importance_bin(float(one)) >= level for one in range(10)) == per_hour


def test_there_is_no_bar_where_the_cap_suffices_or_nothing_is_known() -> None:
    assert bar(candidates(6, [5.0]), BAR_SECONDS, 0.0, 2.0) == 0
    assert bar({}, BAR_SECONDS, 0.0, 2.0) == 0
    assert bar({}, 0.0, float("inf"), 2.0) == 0


def test_hours_before_the_first_candidate_ever_do_not_count_as_quiet() -> None:
    known = {start: bins for start, bins in candidates(6, [1.0, 9.0]).items() if start >= 5 * 3600.0}
    assert bar(known, BAR_SECONDS, 5 * 3600.0, 1.0) == importance_bin(9.0)
    assert bar(known, BAR_SECONDS, 0.0, 1.0) == 0
