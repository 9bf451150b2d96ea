"""Split conformal intervals keep their promise on new cases, whatever the model."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasters.errors import ModelStoreError
from forecasters.interval_buckets import AGE_EDGES
from forecasters.intervals import ConformalIntervals, conformal_offsets
from forecasters.metrics import coverage


def drawn(seed: int, n: int) -> tuple[np.ndarray, ...]:
    """Forecasts, truths, ages and sizes; the error shrinks with age and is skewed."""
    rng = np.random.default_rng(seed)
    predicted = 2 ** rng.uniform(1, 8, n)
    age, observed = 10 ** rng.uniform(1.5, 4.9, n), 10 ** rng.uniform(0, 3.5, n)
    error = (rng.exponential(1.0, n) - 0.7) * np.where(age < 900, 2.0, 0.5)
    return predicted, np.maximum(2 ** (np.log2(1 + predicted) + error) - 1, 0), age, observed


def test_offsets_are_the_finite_sample_quantiles() -> None:
    residuals = np.arange(-9.0, 10.0)  # 19 of them: rank ceil(20 * 0.9) = 18 at level 0.8
    assert conformal_offsets(residuals, 0.8) == (-8.0, 8.0)


def test_too_few_residuals_give_their_extremes() -> None:
    assert conformal_offsets(np.array([-1.0, 3.0]), 0.8) == (-1.0, 3.0)
    assert conformal_offsets(np.array([2.0, 3.0]), 0.8) == (0.0, 3.0)


def test_nothing_to_calibrate_on_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        conformal_offsets(np.zeros(0), 0.8)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
def test_coverage_on_new_cases_is_the_level_young_and_old(level: float) -> None:
    intervals = ConformalIntervals.fit(*drawn(0, 4000), level=level)
    predicted, actual, age, observed = drawn(1, 8000)
    low, high = intervals.bounds(predicted, age, observed)
    for part in (age < 900, age >= 900):
        assert coverage(low[part], high[part], actual[part]) == pytest.approx(level, abs=0.03)


def test_a_thin_bucket_borrows_from_all_ages() -> None:
    predicted, actual, age, observed = drawn(0, 500)
    one_age = np.full_like(age, 1800.0)
    intervals = ConformalIntervals.fit(predicted, actual, one_age, observed)
    np.testing.assert_array_equal(intervals.low[0, 0], np.full(6, intervals.low[0, 0, 0]))
    assert intervals.age_edges == (300.0, 900.0)  # none past the oldest case


def test_a_thin_size_borrows_from_the_sizes_nearest_to_it() -> None:
    rng = np.random.default_rng(0)
    tiny, larger = np.full(500, 1.0), rng.uniform(12, 29, 40)
    error = np.concatenate([rng.normal(0, 3, 500), rng.normal(0, 0.3, 40), rng.normal(0, 0.3, 400)])
    observed = np.concatenate([tiny, larger, rng.uniform(30, 99, 400)])
    predicted = np.full(940, 1000.0)
    actual = np.exp2(np.log2(1 + predicted) + error) - 1
    intervals = ConformalIntervals.fit(predicted, actual, np.full(940, 600.0), observed)
    width = (intervals.high - intervals.low)[0, 1]
    assert width[1] < 1.0 < width[0]  # 40 cases of its own and 20 larger ones, none of the tiny
    assert width[5] < 1.0  # no case at all: the largest there are


def test_ages_of_days_have_intervals_of_their_own() -> None:
    predicted, actual, age, observed = drawn(0, 4000)
    late = ConformalIntervals.fit(predicted, actual, age * 20, observed)
    assert late.age_edges == AGE_EDGES


def test_populations_are_calibrated_on_their_own() -> None:
    calm, wild = drawn(0, 4000), drawn(1, 4000)
    predicted, actual, age, observed = (np.concatenate(pair) for pair in zip(calm, wild, strict=True))
    group = np.repeat([0, 1], 4000)
    centre = np.log2(1 + predicted[group == 1])
    actual[group == 1] = np.exp2(centre + 4 * (np.log2(1 + actual[group == 1]) - centre)) - 1  # errs four times as far
    intervals = ConformalIntervals.fit(predicted, actual, age, observed, group=group)
    low, high = intervals.bounds(predicted, age, observed, group)
    for g in (0, 1):
        assert coverage(low[group == g], high[group == g], actual[group == g]) == pytest.approx(0.8, abs=0.03)
    assert (intervals.high[1] > 2 * intervals.high[0]).all()


def test_a_population_that_was_not_calibrated_for_has_the_offsets_of_the_first() -> None:
    predicted, actual, age, observed = drawn(0, 500)
    intervals = ConformalIntervals.fit(predicted, actual, age, observed, group=np.zeros(500, np.int64))
    first = intervals.bounds(predicted, age, observed)
    np.testing.assert_array_equal(intervals.bounds(predicted, age, observed, np.full(500, 7)), first)


def test_a_table_without_populations_is_read_as_one() -> None:
    intervals = ConformalIntervals.fit(*drawn(0, 1000))
    config = intervals.to_config()
    config["low_log2"], config["high_log2"] = config["low_log2"][0], config["high_log2"][0]
    np.testing.assert_allclose(ConformalIntervals.from_config(config).low, intervals.low, atol=1e-6)


@given(increment=st.floats(0, 1e9), age=st.floats(0, 1e9), observed=st.floats(0, 1e9), seed=st.integers(0, 3))
def test_bounds_enclose_the_forecast_and_are_never_negative(
    increment: float, age: float, observed: float, seed: int
) -> None:
    intervals = ConformalIntervals.fit(*drawn(seed, 300))
    low, high = intervals.bounds(np.array([increment]), np.array([age]), np.array([observed]))
    assert 0 <= low[0] <= increment <= high[0] < np.inf


def test_survives_its_config() -> None:
    intervals = ConformalIntervals.fit(*drawn(0, 1000))
    again = ConformalIntervals.from_config(json.loads(json.dumps(intervals.to_config())))
    np.testing.assert_allclose(again.low, intervals.low, atol=1e-6)
    np.testing.assert_allclose(again.high, intervals.high, atol=1e-6)
    assert again.level == intervals.level


@pytest.mark.parametrize(
    "change",
    [
        {"low_log2": [[0.0]]},
        {"level": 2.0},
        {"high_log2": None},
        {"age_edges_seconds": "x"},
        {"low_log2": [[1.0] * 6] * 6},
    ],
)
def test_a_damaged_table_is_refused(change: dict[str, object]) -> None:
    config = ConformalIntervals.fit(*drawn(0, 100)).to_config()
    with pytest.raises(ModelStoreError, match=r"config\.json"):
        ConformalIntervals.from_config(config | change)
