"""SEISMIC against its paper's equations, written out the slow way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from forecasters.base import Forecasts
from forecasters.seismic import SeismicForecaster
from forecasters.training_free import MAX_GROWTH
from graph import Cascade
from tests.forecasters.cascades import START, cascade_of

DAY = 86_400.0


def forecast(forecaster: SeismicForecaster, cascade: Cascade, age: float, horizon: float = DAY) -> Forecasts:
    return forecaster.forecast([forecaster.prepare(cascade, START + age, horizon)])


def slow_infectiousness(forecaster: SeismicForecaster, ages: list[float], degrees: list[float], t: float) -> float:
    """Equation (6) with numerical integrals."""
    kernel = forecaster.kernel

    def phi(s: float) -> float:
        return kernel.height * min(1.0, (max(s, 1e-9) / kernel.s0) ** -(1 + kernel.theta))

    def window(s: float) -> float:
        return max(1.0 - 2.0 * s / t, 0.0)

    exposure = 0.0
    for age, degree in zip(ages, degrees, strict=True):
        knots = sorted({x for x in (age + kernel.s0, t / 2) if age < x < t})
        exposure += degree * quad(lambda s, age=age: window(t - s) * phi(s - age), age, t, points=knots or None)[0]
    return sum(window(t - age) for age in ages[1:]) / exposure


@given(
    ages=st.lists(st.floats(0, 999), min_size=1, max_size=6),
    degree=st.integers(1, 10_000),
)
def test_infectiousness_is_the_paper_s_estimator(ages: list[float], degree: int) -> None:
    forecaster = SeismicForecaster()
    ages = [0.0, *sorted(ages)]
    degrees = [float(degree)] * len(ages)
    found = forecaster.infectiousness(np.array(ages), np.array(degrees), 1000.0)
    assert found == pytest.approx(slow_infectiousness(forecaster, ages, degrees, 1000.0), rel=1e-4, abs=1e-12)


def test_far_ahead_the_forecast_is_the_paper_s_final_size() -> None:
    forecaster = SeismicForecaster()
    ages = np.linspace(10, 1700, 40)
    cascade = cascade_of(ages.tolist(), followers=[60] * 40, root_followers=9000)
    t = 1800.0
    found = forecast(forecaster, cascade, t, horizon=1e9)
    since = t - np.append(0.0, ages)
    degrees = np.append(9000.0, np.full(40, 60.0))
    p = forecaster.infectiousness(np.append(0.0, ages), degrees, t)
    still = float(degrees @ (1.0 - forecaster.kernel.cumulative(since)))  # N - N_e
    final = p * still / (1.0 - p * forecaster.mean_degree)
    assert not found.supercritical[0]
    # by 30 years the power law of exponent 0.242 has not quite come to its end
    assert 0.93 * final < found.increment[0] < final


def test_follower_counts_explain_reshares_and_lower_the_infectiousness() -> None:
    forecaster = SeismicForecaster()
    ages = np.linspace(10, 1700, 40).tolist()
    famous, unknown = cascade_of(ages, root_followers=1_000_000), cascade_of(ages)
    p_famous = forecaster.prepare(famous, START + 1800.0, DAY).inputs["p"][0]
    p_unknown = forecaster.prepare(unknown, START + 1800.0, DAY).inputs["p"][0]
    assert p_famous < p_unknown / 50


def test_unknown_followers_count_as_the_mean_degree() -> None:
    forecaster = SeismicForecaster(mean_degree=33.0)
    ages = np.linspace(10, 1700, 40).tolist()
    said = forecast(forecaster, cascade_of(ages, root_followers=33, followers=[33] * 40), 1800.0)
    unsaid = forecast(forecaster, cascade_of(ages), 1800.0)
    np.testing.assert_allclose(said.increment, unsaid.increment)


def test_an_accelerating_cascade_is_reported_supercritical_and_capped() -> None:
    ages = 3600.0 * (1.0 - np.geomspace(1.0, 1e-3, 400))
    found = forecast(SeismicForecaster(), cascade_of(ages.tolist()), 3600.0, horizon=30 * DAY)
    assert found.supercritical[0]
    assert found.increment[0] <= MAX_GROWTH * 401
    assert not forecast(SeismicForecaster(), cascade_of(np.linspace(1, 60, 400).tolist()), 3600.0).supercritical[0]


def test_silence_in_the_second_half_means_no_more_growth() -> None:
    assert forecast(SeismicForecaster(), cascade_of([1.0, 2.0, 3.0]), 3600.0).increment[0] == 0.0


def test_binning_the_past_does_not_move_the_forecast() -> None:
    """A forecast from binned history against the sum over every single event."""
    forecaster = SeismicForecaster()
    ages = np.sort(np.random.default_rng(0).pareto(0.7, 2000) * 60)
    ages = ages[ages < 3600]
    found = forecast(forecaster, cascade_of(ages.tolist()), 3600.0, horizon=3660.0)
    p = forecaster.infectiousness(np.append(0.0, ages), np.full(len(ages) + 1, 20.0), 3600.0)
    since = 3600.0 - np.append(0.0, ages)
    kernel = forecaster.kernel
    direct = p * 20.0 * float(np.sum(kernel.cumulative(since + 60.0) - kernel.cumulative(since)))
    # within a minute there is hardly a second generation
    assert found.increment[0] == pytest.approx(direct, rel=0.05)


def test_its_settings_survive_the_disk(tmp_path) -> None:  # type: ignore[no-untyped-def]
    SeismicForecaster(theta=0.3, plateau_seconds=100.0, mean_degree=7.0).save(tmp_path)
    again = SeismicForecaster.load(tmp_path)
    assert again.settings() == {"theta": 0.3, "plateau_seconds": 100.0, "mean_degree": 7.0}
