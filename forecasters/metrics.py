"""How good forecasts of increments were: the field's metrics and interval coverage.

All errors are in log2 space, as in CasFlow, ConCat and CasFT (natural-log values are 0.480 of log2 ones).
Predictions and truths are increments, shape (n,), never negative; every function raises `ValueError` for no
cases.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def _pair(predicted: ArrayLike, actual: ArrayLike) -> tuple[Floats, Floats]:
    p, y = np.asarray(predicted, dtype=np.float64), np.asarray(actual, dtype=np.float64)
    if p.shape != y.shape or p.ndim != 1:
        raise ValueError(f"predicted {p.shape} and actual {y.shape} must be two vectors of equal length")
    if p.size == 0:
        raise ValueError("no cases to score")
    return p, y


def log_errors(predicted: ArrayLike, actual: ArrayLike) -> Floats:
    """log2(p+1) - log2(y+1) of each case, shape (n,); positive where the forecast was too high."""
    p, y = _pair(predicted, actual)
    return np.log2(p + 1.0) - np.log2(y + 1.0)


def msle(predicted: ArrayLike, actual: ArrayLike) -> float:
    """Mean squared logarithmic error: mean (log2(p+1) - log2(y+1))^2."""
    return float(np.mean(log_errors(predicted, actual) ** 2))


def male(predicted: ArrayLike, actual: ArrayLike) -> float:
    """Mean absolute logarithmic error: mean |log2(p+1) - log2(y+1)|."""
    return float(np.mean(np.abs(log_errors(predicted, actual))))


def bias(predicted: ArrayLike, actual: ArrayLike) -> float:
    """Mean signed logarithmic error: above 0 where forecasts are too high as a rule."""
    return float(np.mean(log_errors(predicted, actual)))


def percentage_errors(predicted: ArrayLike, actual: ArrayLike) -> Floats:
    """Absolute percentage error of the logarithms, |log2(p+2) - log2(y+2)| / log2(y+2), of each case, shape (n,).

    The 2 keeps the denominator at 1 or more, so that cascades which stopped growing count too.
    """
    p, y = _pair(predicted, actual)
    truth = np.log2(y + 2.0)
    errors: Floats = np.abs(np.log2(p + 2.0) - truth) / truth
    return errors


def mape(predicted: ArrayLike, actual: ArrayLike) -> float:
    """Mean absolute percentage error of the logarithms: the mean of `percentage_errors`."""
    return float(np.mean(percentage_errors(predicted, actual)))


def pcc(predicted: ArrayLike, actual: ArrayLike) -> float:
    """Pearson correlation of log2(p+1) with log2(y+1); NaN where either is constant, since it is undefined
    there."""
    p, y = _pair(predicted, actual)
    p, y = np.log2(p + 1.0), np.log2(y + 1.0)
    if np.ptp(p) == 0.0 or np.ptp(y) == 0.0:
        return float("nan")
    p, y = p - p.mean(), y - y.mean()
    return float(p @ y / np.sqrt((p @ p) * (y @ y)))


def r2(predicted: ArrayLike, actual: ArrayLike) -> float:
    """Share of the variance of log2(y+1) explained; below 0 means worse than the mean; NaN for a constant
    truth."""
    p, y = _pair(predicted, actual)
    p, y = np.log2(p + 1.0), np.log2(y + 1.0)
    if np.ptp(y) == 0.0:
        return float("nan")
    return float(1.0 - np.sum((p - y) ** 2) / np.sum((y - y.mean()) ** 2))


def coverage(low: ArrayLike, high: ArrayLike, actual: ArrayLike) -> float:
    """Share of truths with low <= y <= high."""
    lower, y = _pair(low, actual)
    upper, _ = _pair(high, actual)
    return float(np.mean((lower <= y) & (y <= upper)))


POINT_METRICS: dict[str, Callable[[ArrayLike, ArrayLike], float]] = {
    "msle": msle,
    "mape": mape,
    "male": male,
    "pcc": pcc,
    "r2": r2,
}
"""What every table shows of the point forecasts, in the order of its columns."""


def score(
    predicted: ArrayLike, actual: ArrayLike, low: ArrayLike | None = None, high: ArrayLike | None = None
) -> dict[str, float]:
    """All point metrics, and ``coverage`` where the bounds are given."""
    scores = {name: metric(predicted, actual) for name, metric in POINT_METRICS.items()}
    if low is not None and high is not None:
        scores["coverage"] = coverage(low, high, actual)
    return scores
