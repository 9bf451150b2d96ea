"""The field's metrics against cases worked by hand, and the bootstrap against what statistics promises."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasters.metrics import (
    coverage,
    log_errors,
    male,
    mape,
    msle,
    pcc,
    r2,
    score,
)

PREDICTED = [0.0, 1.0, 7.0]
ACTUAL = [1.0, 1.0, 1.0]  # log2(y + 1) = 1 each; the predictions have 0, 1 and 3
counts = st.lists(st.tuples(st.floats(0, 1e9), st.floats(0, 1e9)), min_size=1, max_size=30)


def test_log_errors_are_positive_where_the_forecast_was_too_high() -> None:
    np.testing.assert_allclose(log_errors(PREDICTED, ACTUAL), [-1.0, 0.0, 2.0])


def test_msle_is_the_mean_square_of_log2_errors() -> None:
    assert msle(PREDICTED, ACTUAL) == pytest.approx((1 + 0 + 4) / 3)


def test_male_is_the_mean_absolute_log2_error() -> None:
    assert male(PREDICTED, ACTUAL) == pytest.approx((1 + 0 + 2) / 3)


def test_mape_adds_two_so_that_cascades_without_growth_count() -> None:
    # log2(0 + 2) = 1 is the truth; log2(6 + 2) = 3 and log2(2 + 2) = 2 are off by 2 and 1.
    assert mape([6.0, 2.0], [0.0, 0.0]) == pytest.approx((2 + 1) / 2)
    assert mape([0.0], [6.0]) == pytest.approx(2 / 3)


def test_pcc_and_r2_live_in_log_space() -> None:
    actual = np.array([1.0, 3.0, 7.0, 15.0])  # logs 1, 2, 3, 4
    assert pcc(2 * (actual + 1) - 1, actual) == pytest.approx(1.0)  # a factor of two is a shift of one
    assert r2(2 * (actual + 1) - 1, actual) == pytest.approx(1 - 4 / 5)
    assert r2(np.full(4, 2.0**2.5 - 1), actual) == pytest.approx(0.0)


def test_correlation_with_a_constant_is_undefined() -> None:
    assert math.isnan(pcc([3.0, 3.0], [1.0, 2.0]))
    assert math.isnan(r2([1.0, 2.0], [3.0, 3.0]))


def test_coverage_counts_both_bounds_as_inside() -> None:
    assert coverage([0, 0, 0, 5], [1, 1, 1, 6], [0, 1, 2, 4]) == 0.5


@given(counts)
def test_a_perfect_forecast_has_no_error(pairs: list[tuple[float, float]]) -> None:
    actual = [y for _, y in pairs]
    assert msle(actual, actual) == male(actual, actual) == mape(actual, actual) == 0.0


@given(counts)
def test_scores_are_ordered_as_their_definitions_say(pairs: list[tuple[float, float]]) -> None:
    predicted, actual = [p for p, _ in pairs], [y for _, y in pairs]
    found = score(predicted, actual)
    assert found["male"] ** 2 <= found["msle"] * (1 + 1e-9) + 1e-12  # Jensen
    assert math.isnan(found["pcc"]) or abs(found["pcc"]) <= 1 + 1e-9
    assert math.isnan(found["r2"]) or found["r2"] <= 1


@pytest.mark.parametrize(("predicted", "actual"), [([], []), ([1.0], [1.0, 2.0])])
def test_refuses_what_cannot_be_scored(predicted: list[float], actual: list[float]) -> None:
    with pytest.raises(ValueError, match=r"no cases|equal length"):
        msle(predicted, actual)
