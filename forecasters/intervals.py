"""Prediction intervals from residuals: split conformal prediction in log2(1 + increment), per age and size.

Split conformal (Lei et al. 2018, JASA 113): on cases the model was not fitted to, take the empirical
quantiles of the residual r = log2(1 + actual) - log2(1 + forecast). For an exchangeable new case [forecast +
q_low, forecast + q_high] then covers the truth with probability >= level, whatever the model. Residuals
narrow with age and with the number of reshares seen, so the quantiles are taken in buckets of both, and where a model
can tell populations of posts apart, in each population on its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from forecasters.errors import ModelStoreError
from forecasters.interval_buckets import SIZE_EDGES, Groups, ages_in_use, offsets_in_buckets

Floats = NDArray[np.float64]

DEFAULT_LEVEL: Final = 0.8
"""Four of five: the widest interval an editor still acts on; published with each forecast as ``level``."""

UNCALIBRATED_OFFSET: Final = 2.0
"""log2 half-width without calibration: a factor of four either way, about what training-free models err."""


def conformal_offsets(residuals: Floats, level: float) -> tuple[float, float]:
    """The two finite-sample quantiles of the residuals (n,), in log2, taken outward and never across 0.

    Rank ceil((n + 1)(1 - a/2)) of n gives the guarantee; with too few residuals for it the extremes are used.
    Raises `ValueError` for no residuals.
    """
    n = residuals.size
    if n == 0:
        raise ValueError("conformal calibration needs at least one residual")
    ordered = np.sort(residuals)
    rank = min(n, math.ceil((n + 1) * (1.0 + level) / 2.0))
    # Offsets on the far side of 0 would leave a biased forecast outside its own interval.
    return min(0.0, float(ordered[n - rank])), max(0.0, float(ordered[rank - 1]))


@dataclass(frozen=True, slots=True)
class ConformalIntervals:
    """Offsets (log2) below and above the forecast for each bucket; ``low`` and ``high`` are (groups, ages, sizes)."""

    level: float
    age_edges: tuple[float, ...]
    size_edges: tuple[float, ...]
    low: Floats
    high: Floats

    @classmethod
    def uncalibrated(cls, level: float = DEFAULT_LEVEL) -> Self:
        """One wide interval for every case: what a model says before it has been calibrated."""
        width = np.full((1, 1, 1), UNCALIBRATED_OFFSET)
        return cls(level, (), (), -width, width)

    @classmethod
    def fit(
        cls,
        predicted: Floats,
        actual: Floats,
        age_seconds: Floats,
        observed: Floats,
        *,
        group: Groups | None = None,
        level: float = DEFAULT_LEVEL,
    ) -> Self:
        """Calibrate on cases the model was not fitted to; vectors (n,), ``group`` the populations, counted from 0.

        Raises `ValueError` if they are empty.
        """
        residuals = np.log2(1.0 + actual) - np.log2(1.0 + predicted)
        age_edges = ages_in_use(age_seconds)
        offsets = offsets_in_buckets(
            lambda rows: conformal_offsets(residuals[rows], level), age_seconds, observed, group, age_edges, SIZE_EDGES
        )
        return cls(level, age_edges, SIZE_EDGES, offsets[..., 0].copy(), offsets[..., 1].copy())

    def bounds(
        self, increment: Floats, age_seconds: Floats, observed: Floats, group: Groups | None = None
    ) -> tuple[Floats, Floats]:
        """(low, high), each (n,), with 0 <= low <= increment <= high; an increment of exactly 0 keeps an
        upper bound. A group that was not calibrated for has the offsets of the first."""
        place = np.zeros(len(increment), dtype=np.int64) if group is None else np.where(group < len(self.low), group, 0)
        age, size = np.digitize(age_seconds, self.age_edges), np.digitize(observed, self.size_edges)
        centre = np.log2(1.0 + increment)
        low = np.exp2(centre + self.low[place, age, size]) - 1.0
        high = np.exp2(centre + self.high[place, age, size]) - 1.0
        # The outer clips absorb the rounding of log2 followed by exp2.
        return np.clip(low, 0.0, increment), np.maximum(high, increment)

    def to_config(self) -> dict[str, Any]:
        """A JSON object that `from_config` reads back; offsets rounded to 1e-6 log2."""
        return {
            "level": self.level,
            "age_edges_seconds": list(self.age_edges),
            "size_edges": list(self.size_edges),
            "low_log2": np.round(self.low, 6).tolist(),
            "high_log2": np.round(self.high, 6).tolist(),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Read back `to_config`; raises `ModelStoreError` where the tables and their edges do not fit
        together."""
        try:
            age_edges = tuple(float(edge) for edge in config["age_edges_seconds"])
            size_edges = tuple(float(edge) for edge in config["size_edges"])
            low = np.array(config["low_log2"], dtype=np.float64)
            high = np.array(config["high_log2"], dtype=np.float64)
            level = float(config["level"])
        except (KeyError, TypeError, ValueError) as error:
            raise ModelStoreError(f"the interval table of a model's config.json is damaged: {error!r}") from error
        shape = (len(age_edges) + 1, len(size_edges) + 1)
        if low.ndim == high.ndim == 2:  # written before there were groups
            low, high = low[None], high[None]
        if low.shape[1:] != shape or high.shape != low.shape or not len(low) or not 0.0 < level < 1.0:
            raise ModelStoreError(f"the interval table of a model's config.json must be {shape[0]} x {shape[1]}")
        if not (np.isfinite(low).all() and np.isfinite(high).all() and (low <= 0).all() and (high >= 0).all()):
            raise ModelStoreError("the interval offsets of a model's config.json must be finite and straddle 0")
        return cls(level, age_edges, size_edges, low, high)
