"""The Hawkes forecaster: its posterior against brute force, its forecasts against simulated processes."""

from __future__ import annotations

import numpy as np
import pytest

from forecasters import hawkes
from forecasters.branching import OmoriKernel
from forecasters.hawkes import EVIDENCE_EVENTS, HawkesForecaster, kernel_tables
from forecasters.history import HISTORY_EDGES, binned, reach
from tests.forecasters.cascades import START, cascade_of

DAY = 86_400.0


def forecast_of(forecaster: HawkesForecaster, ages: list[float], age: float = 3600.0, horizon: float = DAY) -> float:
    example = forecaster.prepare(cascade_of(ages), START + age, horizon)
    return float(forecaster.forecast([example]).increment[0])


def test_the_posterior_is_bayes_rule_over_the_grid() -> None:
    """Closed forms against an integral over n* on a fine grid, for every kernel and root reach."""
    forecaster = HawkesForecaster()
    tables = kernel_tables(24)
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.3, (1, len(HISTORY_EDGES) - 1)).astype(np.float64)
    counts[0, 0] = 2.0
    assert counts.sum() <= EVIDENCE_EVENTS  # so that nothing is tempered
    kernels, branching, _ = forecaster._posterior(counts, counts, tables)
    n = np.linspace(1e-4, 6.0, 20_000)
    weights = np.zeros((len(tables.root_past), len(hawkes.ROOT_REACH)))
    means = np.zeros_like(weights)
    for g in range(len(weights)):
        for r, rho in enumerate(hawkes.ROOT_REACH):
            exposure = rho * tables.root_past[g] + tables.past_past[g] @ counts[0]
            log_likelihood = counts[0] @ np.log(np.outer(exposure, n)) - n * exposure.sum()
            posterior = np.exp(log_likelihood + 3.0 * np.log(n) - 10.0 * n)  # Gamma(4, 10)
            weights[g, r] = posterior.sum()
            means[g, r] = (n * posterior).sum() / posterior.sum()
    np.testing.assert_allclose(kernels[0], weights.sum(axis=1) / weights.sum(), rtol=1e-3)
    expected = (weights * means).sum(axis=1) / weights.sum(axis=1)
    np.testing.assert_allclose(branching[0], expected, rtol=1e-3)


def test_the_future_of_simulated_processes_is_forecast_without_gross_bias() -> None:
    rng = np.random.default_rng(1)
    kernel, ratio, errors = OmoriKernel(0.3, 1200.0), 0.4, []
    forecaster = HawkesForecaster()
    for _ in range(150):
        delays = 1200.0 * (rng.uniform(size=rng.poisson(100)) ** (-1 / kernel.theta) - 1)
        everyone, generation = [delays], delays
        while len(generation):
            parents = np.repeat(generation, rng.poisson(ratio, len(generation)))
            generation = parents + 1200.0 * (rng.uniform(size=len(parents)) ** (-1 / kernel.theta) - 1)
            generation = generation[generation < DAY]
            everyone.append(generation)
        ages = np.sort(np.concatenate(everyone))
        seen = ages[ages < 7200.0].tolist()
        truth = np.count_nonzero((ages >= 7200.0) & (ages < DAY))
        errors.append(np.log2(1 + forecast_of(forecaster, seen, 7200.0)) - np.log2(1 + truth))
    assert abs(np.mean(errors)) < 0.5
    assert np.std(errors) < 1.0


def test_a_faster_cascade_is_expected_to_grow_more() -> None:
    forecaster = HawkesForecaster()
    slow, fast = np.linspace(1, 3500, 30).tolist(), np.linspace(1, 3500, 300).tolist()
    assert forecast_of(forecaster, fast) > 3 * forecast_of(forecaster, slow)


def test_a_cascade_that_went_silent_is_expected_to_grow_less() -> None:
    forecaster = HawkesForecaster()
    silent, alive = np.linspace(1, 600, 100).tolist(), np.linspace(1, 3500, 100).tolist()
    assert forecast_of(forecaster, silent) < 0.5 * forecast_of(forecaster, alive)


def test_a_further_horizon_never_lowers_the_forecast() -> None:
    forecaster = HawkesForecaster()
    ages = np.linspace(1, 3500, 100).tolist()
    growth = [forecast_of(forecaster, ages, horizon=h) for h in (3600.0, 4000.0, 7200.0, DAY, 30 * DAY)]
    assert growth[0] == 0.0
    assert (np.diff(growth) > 0).all()


def test_a_prior_of_explosive_processes_makes_supercritical_reports() -> None:
    forecaster = HawkesForecaster(prior_shape=400.0, prior_rate=200.0)  # n* is 2, whatever happens
    example = forecaster.prepare(cascade_of(np.linspace(1, 3500, 20).tolist()), START + 3600.0, DAY)
    found = forecaster.forecast([example])
    assert found.supercritical[0]
    assert 0 < found.increment[0] <= 100 * 21


def test_forecasts_are_smooth_where_the_tables_change() -> None:
    """Ages are quantised to half octaves for the tables: crossing a boundary may not be seen in the
    forecast."""
    forecaster = HawkesForecaster()
    ages = np.linspace(1, 3000, 100).tolist()
    boundary = 2.0 ** ((2 * 12 - 0.5) / 2)
    before, after = (forecast_of(forecaster, ages, boundary * (1 + e)) for e in (-1e-6, 1e-6))
    assert after == pytest.approx(before, rel=0.1)


def test_influential_resharers_raise_the_forecast() -> None:
    forecaster = HawkesForecaster()
    ages = np.linspace(1, 3500, 50).tolist()
    famous = cascade_of(ages, followers=[10] * 49 + [1_000_000])
    modest = cascade_of(ages, followers=[10] * 50)
    examples = [forecaster.prepare(c, START + 3600.0, DAY) for c in (famous, modest)]
    more, less = forecaster.forecast(examples).increment
    assert more > less


def test_reach_is_one_for_typical_and_unknown_authors_and_bounded() -> None:
    np.testing.assert_allclose(reach(np.array([200.0, np.nan, 0.0, 1e30]), 200.0, 0.5), [1.0, 1.0, 200.0**-0.5, 100.0])


def test_bins_keep_every_event_and_its_weight() -> None:
    rng = np.random.default_rng(0)
    ages = np.sort(rng.uniform(0, 1000, 500))
    weights = rng.uniform(0, 2, 500)
    counts, summed, means = binned(ages, weights, 1000.0)
    oracle, _ = np.histogram(ages, HISTORY_EDGES * 1000.0)
    np.testing.assert_array_equal(counts, oracle)
    assert summed.sum() == pytest.approx(weights.sum())
    assert counts @ means == pytest.approx(ages.sum())
