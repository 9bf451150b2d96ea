"""True trends count what happened, shares are curves, and conformalised quantiles cover what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from forecasters.base import Case
from forecasters.casft.quantiles import ConformalQuantiles
from forecasters.casft.trend import total_growth, trend_shares, true_trends
from forecasters.dataset import cut
from forecasters.errors import ModelStoreError
from forecasters.trajectory import Relaxation, trajectory_ages
from graph import Event, Kind
from tests.forecasters.cascades import START, cascade_of

DAY = 86_400.0
LOGS = st.floats(0.0, 20.0)


def test_a_trend_counts_the_reshares_of_each_interval() -> None:
    # observed 1 h, horizon 9 h, four intervals of 2 h: (1, 3], (3, 5], (5, 7], (7, 9] h
    hours = [0.5, 1.5, 2.0, 2.9, 6.0, 8.5, 8.9, 9.5]
    case = cut(cascade_of([3600.0 * h for h in hours]), 3600.0, 9 * 3600.0)
    trends, known = true_trends([case], 4)
    assert known.tolist() == [True]
    np.testing.assert_allclose(trends[0], np.log2([4.0, 1.0, 2.0, 3.0]))
    assert total_growth(trends)[0] == pytest.approx(np.log2(1 + case.increment))


def test_a_trend_is_unknown_where_the_events_end_before_the_growth() -> None:
    cascade = cascade_of([10.0, 20.0, 30.0])
    whole = cut(cascade, 3600.0, DAY)
    cut_short = Case(cascade, START + 3600.0, DAY, increment=40)
    trends, known = true_trends([whole, cut_short], 3)
    assert known.tolist() == [True, False]
    assert (trends == 0.0).all()


def test_popularity_that_shrinks_counts_as_none() -> None:
    cascade = cascade_of([10.0, 20.0, 7000.0])
    cascade.apply(Event(id="undo", cascade="c", kind=Kind.UNDO, time=START + 5000.0, parent="c:1"))
    trends, known = true_trends([cut(cascade, 3600.0, 10_800.0)], 2)
    assert known.tolist() == [True]
    assert trends.tolist() == [[0.0, 1.0]] or trends.tolist() == [[0.0, 0.0]]


@settings(max_examples=50)
@given(arrays(np.float64, (3, 5), elements=LOGS), st.floats(0.0, DAY), st.floats(0.0, 2 * DAY))
def test_shares_rise_from_nothing_to_all(trends: np.ndarray, age: float, ahead: float) -> None:
    now, horizon = np.full(3, age), np.full(3, age + ahead)
    ages = trajectory_ages(now, horizon)
    shares = trend_shares(trends, ages, now, horizon, Relaxation())
    assert np.isfinite(shares).all()
    assert (shares[:, 0] == 0.0).all()
    assert (np.diff(shares, axis=1) >= 0.0).all()
    assert (shares <= 1.0).all()
    if ahead > 1.0:
        np.testing.assert_allclose(shares[:, -1], 1.0, atol=1e-6)


def test_shares_follow_the_trend_at_the_ends_of_its_intervals() -> None:
    trends = np.log2(1.0 + np.array([[3.0, 0.0, 1.0, 4.0]]))
    ends = np.array([[0.0, 25.0, 50.0, 75.0, 100.0]]) + 60.0
    shares = trend_shares(trends, ends, np.array([60.0]), np.array([160.0]), Relaxation())
    np.testing.assert_allclose(shares[0], [0.0, 3 / 8, 3 / 8, 4 / 8, 1.0], atol=1e-9)


def test_a_trend_of_nothing_falls_back_on_the_relaxation() -> None:
    ages = trajectory_ages(np.array([60.0]), np.array([DAY]))
    shares = trend_shares(np.zeros((1, 4)), ages, np.array([60.0]), np.array([DAY]), Relaxation())
    np.testing.assert_allclose(shares, Relaxation().share(ages, np.array([60.0]), np.array([DAY])))


@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0])
def test_quantiles_too_narrow_or_too_wide_cover_what_they_promise(scale: float) -> None:
    """Spread differs from case to case; the model knows it up to a constant factor."""
    rng = np.random.default_rng(0)
    n = 4000
    spread = rng.uniform(0.2, 1.5, n)
    centre = rng.uniform(6.0, 9.0, n)
    truth = np.exp2(centre + spread * rng.standard_normal(n)) - 1.0
    half = 1.2816 * spread * scale
    age, observed = np.full(n, 3600.0), np.full(n, 50.0)
    fitted = ConformalQuantiles.fit(
        (centre - half)[: n // 2],
        (centre + half)[: n // 2],
        truth[: n // 2],
        age[: n // 2],
        observed[: n // 2],
        level=0.8,
    )
    rest = slice(n // 2, None)
    low, high = fitted.bounds(
        (centre - half)[rest], (centre + half)[rest], np.exp2(centre[rest]) - 1.0, age[rest], observed[rest]
    )
    below, above = float(np.mean(truth[rest] < low)), float(np.mean(truth[rest] > high))
    assert below == pytest.approx(0.1, abs=0.025)
    assert above == pytest.approx(0.1, abs=0.025)


@settings(max_examples=50)
@given(arrays(np.float64, 20, elements=LOGS), arrays(np.float64, 20, elements=st.floats(0.0, 1e9)))
def test_bounds_always_hold_the_forecast(drawn: np.ndarray, increment: np.ndarray) -> None:
    age, observed = np.geomspace(1.0, 1e6, 20), np.geomspace(1.0, 1e5, 20)
    fitted = ConformalQuantiles.fit(drawn - 1.0, drawn + 1.0, increment, age, observed, level=0.8)
    low, high = fitted.bounds(drawn - 1.0, drawn + 1.0, increment, age, observed)
    assert np.isfinite(high).all()
    assert (low >= 0.0).all()
    assert (low <= increment).all()
    assert (increment <= high).all()


def test_offsets_survive_json_and_damage_is_named() -> None:
    n = 200
    rng = np.random.default_rng(1)
    centre = rng.uniform(2.0, 8.0, n)
    fitted = ConformalQuantiles.fit(
        centre - 0.5, centre + 0.5, np.exp2(centre), np.geomspace(60.0, DAY, n), rng.uniform(1.0, 500.0, n), level=0.7
    )
    again = ConformalQuantiles.from_config(fitted.to_config())
    np.testing.assert_allclose(again.below, fitted.below, atol=1e-6)
    assert again.level == 0.7
    with pytest.raises(ModelStoreError, match="damaged"):
        ConformalQuantiles.from_config({"level": 0.8})
    with pytest.raises(ModelStoreError, match="must be"):
        ConformalQuantiles.from_config({**fitted.to_config(), "below_log2": [[0.0]]})
    with pytest.raises(ModelStoreError, match="finite"):
        ConformalQuantiles.from_config({**fitted.to_config(), "above_log2": (fitted.above * np.inf).tolist()})
    with pytest.raises(ValueError, match="at least one"):
        ConformalQuantiles.fit(*[np.zeros(0)] * 5, level=0.8)
