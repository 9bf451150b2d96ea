"""The default curve from now to the horizon."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from forecasters.base import TRAJECTORY_POINTS, Example
from forecasters.dataset import cases
from forecasters.intervals import ConformalIntervals
from forecasters.trajectory import MAX_INCREMENT, Relaxation, complete_forecasts, trajectory_ages
from tests.forecasters.cascades import cascade_of

DAY = 86_400.0


@given(age=st.floats(0, 2e6), horizon=st.floats(0, 1e9))
def test_ages_ascend_from_now_to_the_horizon_exactly(age: float, horizon: float) -> None:
    ages = trajectory_ages(np.array([age]), np.array([horizon]))[0]
    assert ages.shape == (TRAJECTORY_POINTS,)
    assert ages[0] == age
    assert ages[-1] == max(age, horizon)
    assert (np.diff(ages) >= 0).all()


@given(theta=st.floats(0.01, 3), offset=st.floats(1, 1e5), age=st.floats(0, DAY), ahead=st.floats(1, 1e6))
def test_shares_rise_from_zero_to_one(theta: float, offset: float, age: float, ahead: float) -> None:
    now, horizon = np.array([age]), np.array([age + ahead])
    shares = Relaxation(theta, offset).share(trajectory_ages(now, horizon), now, horizon)[0]
    assert shares[0] == 0
    assert abs(shares[-1] - 1) < 1e-9
    assert (np.diff(shares) >= 0).all()


def test_attention_comes_early_rather_than_late() -> None:
    now, horizon = np.array([3600.0]), np.array([DAY])
    halfway = np.full((1, 1), (3600.0 + DAY) / 2)
    assert Relaxation().share(halfway, now, horizon)[0, 0] > 0.5


def test_the_fit_finds_the_curve_that_made_the_data() -> None:
    truth = Relaxation(0.8, 1800.0)
    times = np.linspace(3600.0, DAY, 20_000)[:, None].T
    shares = truth.share(times, np.array([3600.0]), np.array([DAY]))[0]
    # 900 reshares at the quantiles of the curve, after ten that make the cascade a case
    ages = np.interp((np.arange(900) + 0.5) / 900, shares, times[0])
    cascade = cascade_of([1.0] * 10 + ages.tolist())
    found = Relaxation.fit(cases([cascade], 3600.0, DAY))
    probe = trajectory_ages(np.array([3600.0]), np.array([DAY]))
    expected = truth.share(probe, np.array([3600.0]), np.array([DAY]))
    np.testing.assert_allclose(found.share(probe, np.array([3600.0]), np.array([DAY])), expected, atol=0.01)


def test_without_growth_to_learn_from_the_default_stands() -> None:
    assert Relaxation.fit([]) == Relaxation()
    assert Relaxation.from_config(Relaxation(0.3, 60.0).to_config()) == Relaxation(0.3, 60.0)


def test_impossible_increments_are_brought_into_range() -> None:
    example = Example("c", 0.0, 60.0, DAY, 5)
    found = complete_forecasts(
        [example] * 3, np.array([-5.0, 1e300, 3.0]), ConformalIntervals.uncalibrated(), Relaxation()
    )
    np.testing.assert_array_equal(found.increment, [0.0, MAX_INCREMENT, 3.0])
    assert (found.low <= found.increment).all()
    assert (found.increment <= found.high).all()
