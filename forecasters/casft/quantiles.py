"""Conformalised quantiles: the interval a model draws for each case, moved until it covers what it promises.

Romano, Patterson & Candes 2019 (arXiv 1905.03222), in log2(1 + increment), the lower and the upper bound each with an
offset of its own. The model says where it is unsure; held-out cases say by how much it errs there. Offsets are taken in
buckets of population, age and size, as in `forecasters.intervals`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from forecasters.errors import ModelStoreError
from forecasters.interval_buckets import SIZE_EDGES, Groups, ages_in_use, offsets_in_buckets
from forecasters.intervals import DEFAULT_LEVEL, UNCALIBRATED_OFFSET

Floats = NDArray[np.float64]

FIRST_AGE_EDGES: Final = (300.0, 900.0, 2700.0, 10_800.0, 43_200.0)
"""Of tables that do not name their edges: the first ones did not."""


def _offsets(below: Floats, above: Floats, level: float) -> tuple[float, float]:
    """How far each bound moves outward (inward where negative) so that each leaves out (1 - level) / 2 of the cases."""
    found = []
    for misses in (below, above):
        rank = min(misses.size, int(np.ceil((misses.size + 1) * (1.0 + level) / 2.0)))
        found.append(float(np.sort(misses)[rank - 1]))
    return found[0], found[1]


@dataclass(frozen=True, slots=True)
class ConformalQuantiles:
    """Outward offsets (log2) of a drawn interval's bounds: ``below`` and ``above`` are (groups, ages, sizes)."""

    level: float
    age_edges: tuple[float, ...]
    below: Floats
    above: Floats

    @classmethod
    def uncalibrated(cls, level: float = DEFAULT_LEVEL) -> Self:
        """Wide: what a model says before it has been calibrated."""
        width = np.full((1, 1, len(SIZE_EDGES) + 1), UNCALIBRATED_OFFSET)
        return cls(level, (), width, width.copy())

    @classmethod
    def fit(
        cls,
        low: Floats,
        high: Floats,
        actual: Floats,
        age_seconds: Floats,
        observed: Floats,
        *,
        group: Groups | None = None,
        level: float,
    ) -> Self:
        """Calibrate on cases the model was not fitted to.

        ``low`` and ``high`` (n,) are drawn bounds in log2(1 + increment), ``actual`` (n,) true increments, ``group``
        (n,) the populations, counted from 0. Raises `ValueError` if they are empty.
        """
        if actual.size == 0:
            raise ValueError("conformal calibration needs at least one case")
        truth = np.log2(1.0 + actual)
        below, above = low - truth, truth - high  # how far the truth lies outside each bound
        age_edges = ages_in_use(age_seconds)
        offsets = offsets_in_buckets(
            lambda rows: _offsets(below[rows], above[rows], level), age_seconds, observed, group, age_edges, SIZE_EDGES
        )
        return cls(level, age_edges, offsets[..., 0].copy(), offsets[..., 1].copy())

    def bounds(
        self,
        low: Floats,
        high: Floats,
        increment: Floats,
        age_seconds: Floats,
        observed: Floats,
        group: Groups | None = None,
    ) -> tuple[Floats, Floats]:
        """Increments (low, high), each (n,), with 0 <= low <= increment <= high, of bounds drawn in log2.

        A group that was not calibrated for has the offsets of the first.
        """
        place = np.zeros(len(low), dtype=np.int64) if group is None else np.where(group < len(self.below), group, 0)
        bucket = place, np.digitize(age_seconds, self.age_edges), np.digitize(observed, SIZE_EDGES)
        lower = np.exp2(np.maximum(low - self.below[bucket], 0.0)) - 1.0
        upper = np.exp2(np.clip(high + self.above[bucket], 0.0, 1000.0)) - 1.0
        return np.minimum(lower, increment), np.maximum(upper, increment)

    def to_config(self) -> dict[str, Any]:
        """A JSON object that `from_config` reads back; offsets rounded to 1e-6 log2."""
        return {
            "level": self.level,
            "age_edges_seconds": list(self.age_edges),
            "below_log2": self.below.round(6).tolist(),
            "above_log2": self.above.round(6).tolist(),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Read back `to_config`; raises `ModelStoreError` for a damaged table."""
        try:
            level = float(config["level"])
            age_edges = tuple(float(edge) for edge in config.get("age_edges_seconds", FIRST_AGE_EDGES))
            below = np.array(config["below_log2"], dtype=np.float64)
            above = np.array(config["above_log2"], dtype=np.float64)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelStoreError(f"the interval table of a model's config.json is damaged: {error!r}") from error
        shape = (len(age_edges) + 1, len(SIZE_EDGES) + 1)
        if below.shape != above.shape or below.shape[1:] != shape or not 0.0 < level < 1.0:
            raise ModelStoreError(
                f"the interval table of a model's config.json must be groups x {shape[0]} x {shape[1]}"
            )
        if not (np.isfinite(below).all() and np.isfinite(above).all()):
            raise ModelStoreError("the interval offsets of a model's config.json must be finite")
        return cls(level, age_edges, below, above)
