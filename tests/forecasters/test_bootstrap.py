"""The bootstrap over cascades: wide where cascades differ, paired between models, blind to the number of seeds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasters.bootstrap import interval, resampled_means

ONE = np.ones


def test_resampled_means_scatter_by_the_standard_error() -> None:
    """The variance of the bootstrap mean is the variance of the values over n, exactly (Efron 1979)."""
    values = np.random.default_rng(0).exponential(1.0, (1, 200))
    means = resampled_means(values, ONE((1, 200)), resamples=20_000)
    assert means.shape == (20_000, 1)
    assert means.mean() == pytest.approx(values.mean(), abs=0.003)
    assert means.std() == pytest.approx(np.sqrt(values.var() / 200), rel=0.03)


def test_the_interval_holds_the_true_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for trial in range(200):
        means = resampled_means(rng.exponential(1.0, (1, 60)), ONE((1, 60)), resamples=200, seed=trial)
        low, high = interval(means[:, 0], 0.9)
        hits += low <= 1.0 <= high
    assert 0.82 <= hits / 200 <= 0.96


def test_a_small_difference_shows_through_what_cascades_share() -> None:
    rng = np.random.default_rng(1)
    shared = rng.exponential(10.0, 400)
    means = resampled_means(np.array([shared + 0.1 + rng.normal(0, 0.1, 400), shared]), ONE((2, 400)))
    low, high = interval(means[:, 0] - means[:, 1])
    assert 0.0 < low < 0.1 < high < 0.12
    assert interval(means[:, 1])[1] - interval(means[:, 1])[0] > 1.0


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0, 100), min_size=1, max_size=30), st.integers(2, 5))
def test_seeds_that_agree_are_no_further_cascades(values: list[float], seeds: int) -> None:
    once = np.array([values])
    np.testing.assert_allclose(
        resampled_means(once, ONE(once.shape), resamples=50),
        resampled_means(seeds * once, np.full(once.shape, seeds), resamples=50),
        rtol=1e-9,
        atol=1e-9,
    )


def test_what_cannot_be_paired_is_refused() -> None:
    with pytest.raises(ValueError, match="none of them empty"):
        resampled_means(np.zeros((1, 0)), np.zeros((1, 0)))
    with pytest.raises(ValueError, match="value for every cascade"):
        resampled_means(ONE((2, 3)), np.array([[1.0, 1.0, 1.0], [1.0, 0.0, 1.0]]))
