"""The way from now to the horizon: a monotone curve for forecasters that give only the total.

Attention relaxes as a power law (Crane & Sornette 2008), so of the growth still to come between age a and the
horizon H the share that has come by age a + u is taken as

    F(u) = [1 - (1 + u / (a + c))^-theta] / [1 - (1 + (H - a) / (a + c))^-theta].

The older the post, the slower: the time scale of what is left is its age plus an offset c.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from forecasters.base import TRAJECTORY_POINTS, Case, Example, Forecasts
from forecasters.intervals import ConformalIntervals
from forecasters.labels import observed_until

Floats = NDArray[np.float64]

SPACING_SECONDS: Final = 60.0
"""Trajectory points are evenly spaced in log(1 + u / 60 s): dense in the minutes ahead, where something can
be done."""

MAX_INCREMENT: Final = 1e9
"""No forecast exceeds it: about the users of the largest networks. Also the documented cap of supercritical
cascades."""

THETA_GRID: Final = (0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0)
OFFSET_GRID_SECONDS: Final = (60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14_400.0, 28_800.0)


def trajectory_ages(age_seconds: Floats, horizon_seconds: Floats) -> Floats:
    """(B, TRAJECTORY_POINTS) ages from now to the horizon, both exact; all equal to now when past the
    horizon."""
    remaining = np.maximum(horizon_seconds - age_seconds, 0.0)[:, None]  # (B, 1)
    steps = np.linspace(0.0, 1.0, TRAJECTORY_POINTS)  # (P,)
    ahead = SPACING_SECONDS * np.expm1(steps * np.log1p(remaining / SPACING_SECONDS))  # (B, P)
    ages = age_seconds[:, None] + np.minimum(ahead, remaining)
    ages[:, -1] = np.maximum(horizon_seconds, age_seconds)
    return np.maximum.accumulate(ages, axis=1)


@dataclass(frozen=True, slots=True)
class Relaxation:
    """The parametric share F(u).

    The defaults are the least-squares fit to the oldest 70 % of the Weibo CED cascades at ages from 5 min to
    12 h: growth that is all but logarithmic in time (theta near 0).
    """

    theta: float = 0.01
    offset_seconds: float = 900.0

    def share(self, ages: Floats, age_seconds: Floats, horizon_seconds: Floats) -> Floats:
        """F at each of ``ages`` (B, P) of the growth from ``age_seconds`` (B,) to ``horizon_seconds`` (B,);
        in [0, 1]."""
        scale = age_seconds[:, None] + self.offset_seconds
        remaining = np.maximum(horizon_seconds - age_seconds, 0.0)[:, None]
        total = -np.expm1(-self.theta * np.log1p(remaining / scale))
        gone = -np.expm1(-self.theta * np.log1p(np.clip(ages - age_seconds[:, None], 0.0, None) / scale))
        return np.clip(np.divide(gone, total, out=np.zeros_like(gone), where=total > 0.0), 0.0, 1.0)

    @classmethod
    def fit(cls, cases: Sequence[Case]) -> Self:
        """Least squares over a fixed grid against the true curves of the cases that did grow; the default
        without any. A case whose events end before its horizon tells no curve."""
        grown = [c for c in cases if c.increment > 0 and observed_until(c.graph) >= c.horizon_seconds]
        if not grown:
            return cls()
        age = np.array([case.as_of - case.graph.root_time for case in grown])
        horizon = np.array([case.horizon_seconds for case in grown])
        ages = trajectory_ages(age, horizon)
        truth = np.empty_like(ages)
        for row, case in enumerate(grown):
            reshares = case.graph.view().reshare_ages
            counts = np.searchsorted(reshares, ages[row], side="right").astype(np.float64) - np.searchsorted(
                reshares, age[row], side="right"
            )
            truth[row] = counts / max(counts[-1], 1.0)
        losses = {
            (theta, offset): float(np.mean((cls(theta, offset).share(ages, age, horizon) - truth) ** 2))
            for theta in THETA_GRID
            for offset in OFFSET_GRID_SECONDS
        }
        return cls(*min(losses, key=lambda pair: (losses[pair], pair)))

    def to_config(self) -> dict[str, float]:
        """A JSON object that `from_config` reads back."""
        return {"theta": self.theta, "offset_seconds": self.offset_seconds}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Read back `to_config`."""
        return cls(float(config["theta"]), float(config["offset_seconds"]))


def times_of(examples: Sequence[Example]) -> tuple[Floats, Floats, Floats]:
    """(age_seconds, horizon_seconds, observed) of a batch, each (B,)."""
    columns = np.array([(e.age_seconds, e.horizon_seconds, e.observed) for e in examples], dtype=np.float64)
    columns = columns.reshape(-1, 3)
    return columns[:, 0].copy(), columns[:, 1].copy(), columns[:, 2].copy()


def complete_forecasts(
    examples: Sequence[Example],
    increment: Floats,
    intervals: ConformalIntervals,
    relaxation: Relaxation,
    *,
    supercritical: NDArray[np.bool_] | None = None,
    shares: Floats | None = None,
    group: NDArray[np.int64] | None = None,
) -> Forecasts:
    """Turn point forecasts (B,) into everything a forecast says, keeping every promise of the contract.

    Increments are clipped to [0, MAX_INCREMENT] and are 0, with both bounds 0, at or past the horizon.
    ``shares`` (B, TRAJECTORY_POINTS), nondecreasing from 0 to 1, replaces ``relaxation`` for models with a
    shape of their own; ``group`` (B,) are the populations that ``intervals`` tells apart, if it does.
    """
    age, horizon, observed = times_of(examples)
    open_ended = age < horizon
    increment = np.where(open_ended, np.clip(increment, 0.0, MAX_INCREMENT), 0.0)
    low, high = intervals.bounds(increment, age, observed, group)
    ages = trajectory_ages(age, horizon)
    path = (relaxation.share(ages, age, horizon) if shares is None else shares) * increment[:, None]
    path = np.minimum(path, increment[:, None])  # a share of 1 - 1e-16 times a large number may round above it
    path[:, -1] = increment
    return Forecasts(
        increment=increment,
        low=np.where(open_ended, low, 0.0),
        high=np.where(open_ended, high, 0.0),
        trajectory_ages=ages,
        trajectory_increments=path,
        supercritical=np.zeros(len(examples), np.bool_) if supercritical is None else supercritical & open_ended,
    )
