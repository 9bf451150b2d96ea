"""What is kept for people who watch: the posts expected to rise fastest, and no more than there is room for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.records import ForecastRecord
from streams.web.board import LiveBoard, growth_per_hour, size_at


def forecast(cascade: str, growth: float, as_of: float = 1000.0, model: str = "blend") -> ForecastRecord:
    """Of a post of an hour's age and 10 reshares that gains ``growth`` in each hour up to a day."""
    return ForecastRecord(
        id="",
        cascade=cascade,
        as_of=as_of,
        age_seconds=3600.0,
        observed=10,
        horizon_seconds=86_400.0,
        model=model,
        model_version="1",
        expected=10 + 23 * growth,
        low=10.0,
        high=10 + 46 * growth,
        level=0.8,
        trajectory=[(3600.0, 10.0), (86_400.0, 10 + 23 * growth)],
        growth_per_hour=growth,
        event="",
    )


def test_growth_is_what_the_trajectory_gains_in_the_hour_after_now() -> None:
    bent = forecast("a", 0.0)
    bent.trajectory[:] = [(3600.0, 10.0), (7200.0, 50.0), (10_800.0, 60.0), (86_400.0, 60.0)]
    assert growth_per_hour(bent, 3600.0) == pytest.approx(40.0)
    assert growth_per_hour(bent, 5400.0) == pytest.approx(25.0)
    assert growth_per_hour(bent, 10_800.0) == 0.0


def test_nothing_grows_past_the_horizon() -> None:
    assert growth_per_hour(forecast("a", 5.0), 86_400.0) == 0.0
    assert growth_per_hour(forecast("a", 5.0), 90_000.0) == 0.0
    assert growth_per_hour(forecast("a", 5.0), 86_400.0 - 60.0) == pytest.approx(5.0)


def test_before_a_forecast_began_its_size_is_what_was_observed() -> None:
    assert size_at(forecast("a", 5.0), 0.0) == 10.0


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=80), st.integers(1, 10))
def test_however_many_come_those_that_rise_fastest_are_kept(growths: list[float], room: int) -> None:
    board = LiveBoard(lambda cascade: True, room=room)
    for number, growth in enumerate(growths):
        board.add("blend", [forecast(f"c{number}", growth)])
    kept = [found["blend"].growth_per_hour for _, found in board.live()]
    assert len(kept) <= room * 1.25 + 1
    assert sorted(kept, reverse=True)[:room] == pytest.approx(sorted(growths, reverse=True)[:room])


def test_a_post_that_has_left_makes_room() -> None:
    alive = {f"c{number}" for number in range(3)}
    board = LiveBoard(lambda cascade: cascade in alive, room=2)
    for number in range(3):
        board.add("blend", [forecast(f"c{number}", 100.0)])
    alive -= {"c0", "c1", "c2"}
    assert list(board.live()) == []
    alive |= {"slow", "slower"}
    board.add("blend", [forecast("slow", 101.0)])
    board.add("blend", [forecast("slower", 1.0)])
    assert [cascade for cascade, _ in board.live()] == ["slow", "slower"]


def test_each_models_newest_forecast_stays() -> None:
    board = LiveBoard(lambda cascade: True)
    board.add("blend", [forecast("a", 5.0, as_of=2000.0)])
    board.add("blend", [forecast("a", 7.0, as_of=1000.0)])  # made later of an earlier time, as after a rebalance
    board.add("hawkes", [forecast("a", 9.0, as_of=1000.0, model="hawkes")])
    assert {model: record.growth_per_hour for model, record in board.of("a").items()} == {"blend": 5.0, "hawkes": 9.0}
    assert board.of("b") == {}
