"""Whose forecast comes first when not all can be made in time."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from streams.engine.last_forecasts import LastForecast, LastForecasts
from streams.engine.priority import Claim, Order, by_importance, importance, in_turn, is_near

WITHIN = 2.0

PLAIN = Claim("plain", waits_seconds=0.0, size=50, last_size=48, last_expected=100.0, has_alert=False)

sizes = st.integers(0, 1000)
claims = st.lists(
    st.builds(
        Claim,
        cascade=st.text("abcdef", min_size=1, max_size=3),
        waits_seconds=st.floats(0, 10),
        size=sizes,
        last_size=st.none() | sizes,
        last_expected=st.none() | st.floats(0, 5000),
        has_alert=st.booleans(),
    ),
    max_size=30,
    unique_by=lambda claim: claim.cascade,
)


def first_of(*given: Claim, levels: tuple[float, ...] = ()) -> str:
    return by_importance(given, 1, WITHIN, levels)[0]


def test_of_two_alike_the_one_that_is_expected_to_be_larger_comes_first() -> None:
    assert first_of(PLAIN, replace(PLAIN, cascade="larger", last_expected=300.0)) == "larger"


def test_a_post_forecast_a_moment_ago_that_hardly_grew_waits_for_one_that_grew() -> None:
    still = replace(PLAIN, cascade="still", size=1001, last_size=1000, last_expected=1500.0)
    grew = replace(PLAIN, cascade="grew", size=600, last_size=300, last_expected=400.0)
    assert first_of(still, grew) == "grew"


def test_a_post_near_a_level_of_a_rule_comes_before_a_larger_one_that_is_not() -> None:
    near = replace(PLAIN, cascade="near", last_expected=300.0)
    beyond = replace(PLAIN, cascade="beyond", last_expected=1100.0)
    assert first_of(near, beyond) == "beyond"
    assert first_of(near, beyond, levels=(500.0,)) == "near"


def test_a_post_of_which_an_alert_is_open_waits_for_one_that_may_open_another() -> None:
    told = replace(PLAIN, cascade="told", last_expected=900.0, has_alert=True)
    not_yet = replace(PLAIN, cascade="not yet", last_expected=400.0)
    assert first_of(told, not_yet, levels=(500.0,)) == "not yet"


def test_a_post_without_a_forecast_counts_as_one_that_grew() -> None:
    new = replace(PLAIN, cascade="new", last_size=None, last_expected=None)
    assert first_of(PLAIN, new) == "new"


def test_a_tenth_of_the_places_is_for_those_that_waited_too_long() -> None:
    late = [replace(PLAIN, cascade=f"late{n}", size=1, waits_seconds=WITHIN + n) for n in range(1, 5)]
    large = [replace(PLAIN, cascade=f"large{n}", size=1000 + n) for n in range(20)]
    found = by_importance([*large, *late], 20, WITHIN, ())
    assert found[:2] == ["late4", "late3"]
    assert set(found[2:]) <= {claim.cascade for claim in large}


def test_in_turn_size_has_no_say() -> None:
    waiting = [replace(PLAIN, cascade=f"c{n}", waits_seconds=1.0 / (n + 1), size=10**n) for n in range(4)]
    assert in_turn(waiting, 3) == ["c0", "c1", "c2"]


@given(claims, st.integers(1, 40), st.sampled_from([by_importance, in_turn]))
def test_each_is_chosen_once_no_place_stays_empty_and_no_order_of_the_claims_matters(
    given: list[Claim], limit: int, order: Order
) -> None:
    found = order(given, limit, WITHIN, (100.0,))
    assert len(found) == len(set(found)) == min(limit, len(given))
    assert order(given[::-1], limit, WITHIN, (100.0,)) == found


@given(claims)
def test_none_is_passed_over_for_ever(given: list[Claim]) -> None:
    """However important others are: who waits longest has a place as soon as that is too long."""
    longest = max((claim.waits_seconds for claim in given), default=0.0)
    if longest > WITHIN:
        found = set(by_importance(given, 1, WITHIN, ()))
        assert any(claim.cascade in found for claim in given if claim.waits_seconds == longest)


@given(claims, sizes)
def test_further_growth_never_makes_a_post_less_important(given: list[Claim], more: int) -> None:
    for claim in given:
        assert importance(replace(claim, size=claim.size + more), ()) >= importance(claim, ())


def test_a_size_within_a_factor_of_two_of_a_level_is_near_it() -> None:
    assert is_near(5000.0, [5000.0])
    assert is_near(2600.0, [100.0, 5000.0])
    assert not is_near(2000.0, [100.0, 5000.0])
    assert not is_near(12_000.0, [100.0, 5000.0])
    assert not is_near(10.0, [])


def test_the_last_forecast_of_those_forecast_last_is_remembered() -> None:
    last = LastForecasts(remembered=2)
    last.note("a", 10.0, 1)
    last.note("b", 20.0, 2)
    last.note("a", 11.0, 3)
    last.note("c", 30.0, 4)
    assert last.get("b") is None, "it was forecast the longest time ago"
    assert last.get("a") == LastForecast(11.0, 3)
    assert last.get("c") == LastForecast(30.0, 4)
    last.forget("c")
    last.forget("never")
    assert last.get("c") is None
