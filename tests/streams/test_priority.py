"""Whose forecast comes first when not all can be made in time."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from streams.last_forecasts import LastForecast, LastForecasts
from streams.priority import Claim, chosen, growth_since, is_near

WITHIN = 2.0

PLAIN = Claim("plain", waits_seconds=0.0, near_alert=False, growth=0.1, size=50)

claims = st.lists(
    st.builds(
        Claim,
        cascade=st.text("abcdef", min_size=1, max_size=3),
        waits_seconds=st.floats(0, 10),
        near_alert=st.booleans(),
        growth=st.floats(-1, 10),
        size=st.integers(0, 1000),
    ),
    max_size=30,
    unique_by=lambda claim: claim.cascade,
)


def test_near_an_alert_comes_before_growth_and_growth_before_size() -> None:
    near = replace(PLAIN, cascade="near", near_alert=True, growth=0.0, size=1)
    growing = replace(PLAIN, cascade="growing", growth=3.0, size=2)
    large = replace(PLAIN, cascade="large", size=10_000)
    assert chosen([large, growing, PLAIN, near], 4, WITHIN) == ["near", "growing", "large", "plain"]


def test_a_post_forecast_a_moment_ago_that_hardly_grew_waits() -> None:
    still = replace(PLAIN, cascade="still", growth=growth_since(1001, 1000), size=1001)
    new = replace(PLAIN, cascade="new", growth=growth_since(3, 0), size=3)
    assert chosen([still, new], 1, WITHIN) == ["new"]


def test_those_that_waited_too_long_have_half_of_the_places_the_longest_wait_first() -> None:
    late = [replace(PLAIN, cascade=f"late{n}", growth=-1.0, waits_seconds=WITHIN + n) for n in range(1, 5)]
    near = [replace(PLAIN, cascade=f"near{n}", near_alert=True, size=n) for n in range(1, 5)]
    assert chosen([*near, *late], 4, WITHIN) == ["late4", "late3", "near4", "near3"]


def test_places_that_nobody_claims_go_to_the_others() -> None:
    in_time = [replace(PLAIN, cascade=f"c{n}", size=n) for n in range(4)]
    assert chosen(in_time, 3, WITHIN) == ["c3", "c2", "c1"]
    late = [replace(claim, waits_seconds=10.0 + claim.size) for claim in in_time]
    assert sorted(chosen(late, 4, WITHIN)) == ["c0", "c1", "c2", "c3"]


@given(claims, st.integers(1, 40))
def test_each_is_chosen_once_no_place_stays_empty_and_no_order_of_the_claims_matters(
    given: list[Claim], limit: int
) -> None:
    found = chosen(given, limit, WITHIN)
    assert len(found) == len(set(found)) == min(limit, len(given))
    assert chosen(given[::-1], limit, WITHIN) == found


@given(claims)
def test_none_is_passed_over_for_ever(given: list[Claim]) -> None:
    """However important others are: who waits longest has a place as soon as that is too long."""
    late = [claim for claim in given if claim.waits_seconds > WITHIN]
    if late:
        longest = max(claim.waits_seconds for claim in late)
        found = set(chosen(given, 1, WITHIN))
        assert any(claim.cascade in found for claim in late if claim.waits_seconds == longest)


def test_a_forecast_within_a_factor_of_two_of_a_level_is_near_it() -> None:
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
