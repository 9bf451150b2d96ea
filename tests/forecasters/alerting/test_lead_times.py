"""When rules alert in a walk through posts' lives, and how early that is: cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasters.alerting import GrowthCurves
from forecasters.alerting.lead_times import operate, threshold_of_alerts, threshold_of_precision
from forecasters.alerting.standing import ranks
from forecasters.alerting.today import best_window, counts, rates
from forecasters.alerting.walks import (
    YOUNGEST_SECONDS,
    Walk,
    count_walk,
    half_ages,
    looks,
    rank_walk,
    rate_walk,
)
from graph import Event, Kind
from tests.forecasters.alerting.posts import HORIZON, busy_day, curves_of, post
from tests.forecasters.cascades import START

ALL = np.arange(3)


def three_posts() -> GrowthCurves:
    """One grows early to 4, one late to 4, one has 2 at once and no more."""
    return curves_of(
        post("early", [10.0, 20.0, 30.0, 5000.0]),
        post("late", [10.0, 1000.0, 2000.0, 3000.0], start=START + 1),
        post("small", [1.0, 2.0], start=START + 2),
    )


def test_a_count_alerts_at_the_repost_that_reaches_it() -> None:
    curves = three_posts()
    walk = count_walk(curves, ALL)
    assert walk.peaks(ALL).tolist() == [4.0, 4.0, 2.0]
    assert walk.alert_ages(ALL, 3.0).tolist() == [30.0, 2000.0, np.inf]


def test_a_rate_counts_the_window_that_ends_with_the_repost() -> None:
    walk = rate_walk(three_posts(), ALL, 20.0)
    assert walk.scores.tolist() == [1.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0]
    # the window is half open: the repost 20 seconds ago has left it


def test_a_rank_is_the_number_of_larger_posts_alive() -> None:
    curves = curves_of(
        post("a", [100.0, 200.0]),
        post("b", [50.0, 60.0, 70.0], start=START + 1.0),
        post("last hour", [10.0, 3600.0], start=START + HORIZON - 3600.0),
    )
    walk = rank_walk(curves, ALL)
    assert walk.posts.tolist() == [0, 0, 1, 1, 1, 2, 2]
    # b leads; when the third has its first repost both others are alive, when it has its second only b is, for a second
    assert walk.scores.tolist() == [-1.0, -1.0, 0.0, 0.0, 0.0, -2.0, -1.0]


def test_ranks_are_those_of_a_sorted_list() -> None:
    curves = curves_of(*busy_day(60))
    times = curves.root_times[curves.posts] + curves.ages
    for place in range(0, len(times), 37):
        now = times[place]
        alive = (curves.root_times <= now) & (now < curves.root_times + HORIZON)
        sizes = np.bincount(curves.posts[times <= now], minlength=60)
        assert ranks(curves, np.array([place])).tolist() == [
            np.count_nonzero(sizes[alive] > sizes[curves.posts[place]])
        ]


def test_half_of_the_final_size_is_reached_by_the_middle_repost() -> None:
    assert half_ages(three_posts(), ALL).tolist() == [20.0, 1000.0, 1.0]
    assert half_ages(curves_of(post("odd", [1.0, 2.0, 3.0])), np.array([0])).tolist() == [2.0]


def test_leads_count_the_late_and_the_never_alerted() -> None:
    curves, top = three_posts(), np.array([True, True, False])
    halves = half_ages(curves, ALL[top])
    at_three = operate(count_walk(curves, ALL), ALL, top, halves, HORIZON, 3.0)
    assert at_three.leads.tolist() == [20.0 - 30.0, 1000.0 - 2000.0]
    assert (at_three.alerts, at_three.precision, at_three.recall) == (2, 1.0, 1.0)
    at_one = operate(count_walk(curves, ALL), ALL, top, halves, HORIZON, 1.0)
    assert at_one.leads.tolist() == [10.0, 990.0]
    assert (at_one.precision, at_one.median_lead_seconds) == (2 / 3, 500.0)
    never = operate(rate_walk(curves, ALL, 20.0), ALL, top, halves, HORIZON, 2.0)
    assert never.leads.tolist() == [0.0, 1000.0 - HORIZON]
    assert (never.precision, never.recall) == (0.5, 0.5)


def test_thresholds_are_the_lowest_that_keep_a_promise() -> None:
    peaks, top = np.array([5.0, 4.0, 4.0, 3.0, 2.0, -np.inf]), np.array([True, True, False, True, False, True])
    assert threshold_of_precision(peaks, top, 1.0) == 5.0
    assert threshold_of_precision(peaks, top, 0.7) == 3.0
    assert threshold_of_precision(peaks, top, 0.6) == 2.0
    assert threshold_of_precision(np.array([2.0, 1.0]), np.array([False, True]), 0.9) is None
    assert threshold_of_alerts(peaks, top, 4) == 3.0
    assert threshold_of_alerts(peaks, top, 2) == 5.0
    assert threshold_of_alerts(np.ones(3), np.ones(3, bool), 2) is None


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=30), st.floats(0.05, 1.0))
def test_no_lower_threshold_is_as_precise(posts: list[tuple[int, bool]], precision: float) -> None:
    peaks, top = np.array([float(peak) for peak, _ in posts]), np.array([hit for _, hit in posts])
    found = threshold_of_precision(peaks, top, precision)
    precise = [peak for peak in set(peaks.tolist()) if top[peaks >= peak].mean() >= precision]
    assert found == min(precise, default=None)


def test_the_ranker_looks_after_reposts_and_not_before_it_has_learned() -> None:
    curves = curves_of(post("p", [float(20 * i) for i in range(1, 41)]))
    posts, ages = looks(curves, np.array([0]))
    assert set(posts.tolist()) == {0}
    assert ages[0] == YOUNGEST_SECONDS == 120.0  # the reposts of the first two minutes, one look
    assert (np.diff(ages) > 0).all()
    seen = curves.counts(posts, ages)
    assert seen[:6].tolist() == [5, 6, 7, 8, 9, 10]
    assert (seen[6:] <= np.ceil(1.1 * seen[5:-1])).all()


def test_a_walk_without_posts_alerts_for_nobody() -> None:
    walk = Walk(np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
    assert walk.alert_ages(ALL, 0.0).tolist() == [np.inf] * 3
    assert walk.peaks(ALL).tolist() == [-np.inf] * 3


def test_todays_rules_at_one_age() -> None:
    curves, ages = three_posts(), np.full(3, 35.0)
    assert counts(curves, ALL, ages).tolist() == [3.0, 1.0, 2.0]
    assert rates(curves, ALL, ages, 10.0).tolist() == pytest.approx([6.0, 0.0, 0.0])
    # a repost at the age itself has not been seen, one at the window's begin has
    assert rates(curves, ALL, np.full(3, 30.0), 20.0).tolist() == pytest.approx([6.0, 3.0, 0.0])


def test_the_window_of_the_rate_is_the_one_that_ranks_the_training_posts_best() -> None:
    late = [post(f"late{i}", [1.0, 500.0, *([590.0] * 20), *([700.0] * (50 + i))], start=START + i) for i in range(5)]
    early = [post(f"early{i}", [1.0] * 30, start=START + 10 + i) for i in range(45)]
    curves = curves_of(*late, *early)
    assert best_window(curves, np.arange(50), 600.0, 0.1) < 600.0


def test_a_repost_taken_back_lowers_a_count_and_its_rate() -> None:
    cascade = post("p", [10.0, 20.0, 40.0])
    cascade.apply(Event(id="x", cascade="p", kind=Kind.UNDO, time=START + 30.0, parent="p:0"))
    curves = curves_of(cascade)
    assert count_walk(curves, np.array([0])).scores.tolist() == [1.0, 2.0, 2.0]
    assert half_ages(curves, np.array([0])).tolist() == [10.0]


def test_a_rule_that_knows_the_future_leads_every_post() -> None:
    curves = curves_of(*busy_day(80))
    posts, finals = np.arange(80), curves.finals()
    top = finals >= np.sort(finals)[-8]
    oracle = count_walk(curves, posts)
    known = Walk(oracle.posts, oracle.ages, finals[oracle.posts].astype(float))
    halves = half_ages(curves, posts[top])
    found = operate(known, posts, top, halves, HORIZON, float(finals[top].min()))
    assert found.precision == found.recall == 1.0
    assert (found.leads >= 0).all()
