"""Intervals that stay calibrated, also where the stream is not what they were calibrated on."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasters.learning_ages import BUCKETS
from forecasters.online_intervals import FIRST_STEP, OFFSET_CAP, OnlineIntervals


def prequential(
    increment: np.ndarray, low: np.ndarray, high: np.ndarray, actual: np.ndarray, ages: np.ndarray, delay: int = 40
) -> np.ndarray:
    """Whether each truth was covered (n,), by bounds that know what had matured ``delay`` cases before."""
    online, covered, learned = OnlineIntervals(), np.empty(len(actual), bool), 0
    for first in range(0, len(actual), delay):
        until = max(0, first - delay + 1)
        known = slice(learned, until)
        online.update(increment[known], low[known], high[known], actual[known], ages[known])
        learned = until
        now = slice(first, first + delay)
        lower, upper = online.bounds(increment[now], low[now], high[now], ages[now])
        covered[now] = (lower <= actual[now]) & (actual[now] <= upper)
    return covered


@settings(max_examples=12, deadline=None)
@given(
    st.integers(0, 10_000),
    st.floats(-2.0, 2.0),
    st.floats(0.2, 2.0),
    st.floats(0.0, 3.0),
    st.sampled_from(["normal", "skew", "drift"]),
)
def test_coverage_comes_to_its_level_on_any_stream(
    seed: int, bias: float, spread: float, width: float, kind: str
) -> None:
    """Biased forecasts, intervals far too narrow or too wide, residuals that lean to one side or change."""
    rng, n = np.random.default_rng(seed), 4000  # a drift goes round once: on its way down alone, the width lags
    centre = rng.uniform(3.0, 9.0, n)
    noise = rng.normal(size=n) if kind != "skew" else rng.exponential(1.0, n) - 1.0
    residual = bias + spread * noise * (1.0 + (kind == "drift") * np.sin(np.arange(n) / 600.0) / 2)
    increment = np.exp2(centre) - 1
    actual = np.maximum(0.0, np.exp2(centre + residual) - 1)
    low, high = np.exp2(np.maximum(centre - width, 0.0)) - 1, np.exp2(centre + width) - 1
    covered = prequential(increment, low, high, actual, np.full(n, 600.0))
    # a forecast that errs to one side nearly always leaves one bound at the forecast itself
    assert 0.76 <= covered[500:].mean() <= 0.84


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(*[st.floats(0, 1e6)] * 4), min_size=1, max_size=60))
def test_the_account_of_width_and_misses_balances(cases: list[tuple[float, ...]]) -> None:
    """Each case changes the width by step x (missed - 20 %), except where both bounds lie on the forecast."""
    online = OnlineIntervals()
    for a, b, c, actual in cases:
        low, increment, high = sorted((a, b, c))
        one = [np.array([value]) for value in (increment, low, high)]
        lower, upper = online.bounds(*one, np.array([600.0]))
        before, seen = online.offsets[1].copy(), online.cases[1]
        online.update(*one, np.array([actual]), np.array([600.0]))
        after = online.offsets[1]
        step = max(0.02, FIRST_STEP / np.sqrt(1 + seen / 20))
        if (
            np.abs(after).max() == OFFSET_CAP
            or np.isclose(lower, increment).any()
            or np.isclose(upper, increment).any()
        ):
            continue
        if np.isclose(lower, actual).any() or np.isclose(upper, actual).any():
            continue  # on a bound, to the last bit
        missed = bool(actual < lower[0] or actual > upper[0])
        change = (after[1] - after[0]) - (before[1] - before[0])
        assert np.isclose(change, step * (missed - 0.2))


@given(st.integers(0, 1000))
def test_bounds_always_hold_the_forecast(seed: int) -> None:
    rng = np.random.default_rng(seed)
    online = OnlineIntervals()
    online.offsets = rng.uniform(-12, 12, (BUCKETS, 2))
    increment = np.where(rng.random(50) < 0.2, 0.0, rng.lognormal(2, 3, 50))
    low, high = increment * rng.random(50), increment * (1 + rng.random(50))
    lower, upper = online.bounds(increment, low, high, rng.uniform(0, 90_000, 50))
    assert (lower >= 0).all()
    assert (lower <= increment).all()
    assert (increment <= upper).all()


def test_without_any_case_the_bounds_are_the_models_own() -> None:
    increment, low, high = np.array([5.0]), np.array([2.0]), np.array([11.0])
    lower, upper = OnlineIntervals().bounds(increment, low, high, np.array([600.0]))
    np.testing.assert_allclose((lower[0], upper[0]), (2.0, 11.0))


@given(st.integers(0, 1000), st.lists(st.integers(0, 30), max_size=5))
def test_how_cases_are_grouped_changes_nothing(seed: int, cuts: list[int]) -> None:
    rng = np.random.default_rng(seed)
    columns = [*np.sort(rng.lognormal(2, 1, (3, 30)), axis=0)[[1, 0, 2]], rng.lognormal(2, 1, 30)]
    ages = rng.uniform(0, 80_000, 30)
    whole, parts = OnlineIntervals(), OnlineIntervals()
    whole.update(*columns, ages)
    edges = [0, *sorted(cuts), 30]
    for start, end in pairwise(edges):
        parts.update(*(column[start:end] for column in columns), ages[start:end])
    assert whole.snapshot() == parts.snapshot()


def test_buckets_learn_apart() -> None:
    online = OnlineIntervals()
    one = np.ones(200)
    online.update(one, one, one, 100 * one, 600 * one)
    assert online.offsets[1, 1] > 3
    assert np.abs(online.offsets[[0, 2, 3, 4, 5]]).max() == 0


def test_a_snapshot_restores_to_the_bit_and_one_that_does_not_fit_is_refused() -> None:
    online = OnlineIntervals()
    one = np.ones(30)
    online.update(one, 0.3 * one, 7 * one, 9 * one, np.geomspace(60, 80_000, 30))
    packed = msgspec.msgpack.encode(online.snapshot())
    assert len(packed) < 400
    assert OnlineIntervals.restore(msgspec.msgpack.decode(packed)).snapshot() == online.snapshot()
    with pytest.raises(ValueError, match="fit this version"):
        OnlineIntervals.restore({**online.snapshot(), "cases": [1.0]})
