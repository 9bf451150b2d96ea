"""Intervals that stay calibrated: the shipped bounds, moved until as many truths lie outside as they promise.

For each age bucket the lower and the upper bound carry an offset in log2. A truth outside widens its side by a step; a
truth anywhere narrows the interval by (1 - level) of a step, half on either side. A side that cannot narrow any further
for this case (it has reached the forecast) leaves its share to the other. So each case changes the width by exactly
step x (missed - (1 - level)), and as the width stays bounded, the share of misses must come to 1 - level, whatever the
data: no exchangeability is needed (adaptive conformal inference, Gibbs & Candes 2021; with a falling step,
Angelopoulos, Barber & Bates 2024).

A truth is held against the bounds as they stand when it becomes known, not as they stood a day before: else all that
matured meanwhile would push the same way, and the width would swing.
"""

from __future__ import annotations

import math
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from forecasters.intervals import DEFAULT_LEVEL
from forecasters.learning_ages import BUCKETS, bucket_of

Floats = NDArray[np.float64]

FIRST_STEP: Final = 0.2
LAST_STEP: Final = 0.02
"""log2 by which a miss widens its side: at first a fifth of a doubling, so that some fifty misses mend a shipped
interval that is far off; in the end so little that chance moves a bound by less than 0.1."""

FALL_CASES: Final = 20.0
"""The step falls as 1 / sqrt(1 + cases / FALL_CASES)."""

OFFSET_CAP: Final = 12.0
"""log2; a factor of 4,096 is no interval any more."""


class OnlineIntervals:
    """The offsets of one model on one stream; one case after another, the same however they are grouped.

    >>> online = OnlineIntervals()
    >>> one = np.ones(300)
    >>> online.update(one, one, one, 40 * one, 600 * one)  # forecast 1, bounds [1, 1], truth 40
    >>> low, high = online.bounds(one[:1], one[:1], one[:1], 600 * one[:1])
    >>> bool(high[0] > 30), low.tolist()
    (True, [1.0])
    """

    def __init__(self, level: float = DEFAULT_LEVEL) -> None:
        self.level = level
        self.offsets = np.zeros((BUCKETS, 2))  # log2 added to the lower and to the upper bound
        self.cases = np.zeros(BUCKETS)

    def bounds(self, increment: Floats, low: Floats, high: Floats, age_seconds: Floats) -> tuple[Floats, Floats]:
        """The model's own bounds (n,) moved by the offsets; 0 <= low <= increment <= high."""
        offsets = self.offsets[bucket_of(age_seconds)]  # (n, 2)
        lower = np.exp2(np.log2(1.0 + low) + offsets[:, 0]) - 1.0
        upper = np.exp2(np.log2(1.0 + high) + offsets[:, 1]) - 1.0
        return np.clip(lower, 0.0, increment), np.maximum(upper, increment)

    def update(self, increment: Floats, low: Floats, high: Floats, actual: Floats, age_seconds: Floats) -> None:
        """Learn from matured forecasts in their order: the model's own bounds and the true increments, each (n,)."""
        offsets, cases = self.offsets.copy(), self.cases.copy()
        buckets = bucket_of(np.asarray(age_seconds, np.float64)).tolist()
        logs = (np.log2(1.0 + np.asarray(values, np.float64)).tolist() for values in (increment, low, high, actual))
        for bucket, centre, lower, upper, truth in zip(buckets, *logs, strict=True):
            offsets[bucket] = self._moved(offsets[bucket], cases[bucket], centre, lower, upper, truth)
            cases[bucket] += 1.0
        self.offsets, self.cases = offsets, cases

    def _moved(self, offset: Floats, cases: float, centre: float, lower: float, upper: float, truth: float) -> Floats:
        """The offsets of a bucket after one more case; all in log2(1 + .)."""
        step = max(LAST_STEP, FIRST_STEP / math.sqrt(1.0 + cases / FALL_CASES))
        below, above = float(offset[0]), float(offset[1])
        low, high = min(max(lower + below, 0.0), centre), max(upper + above, centre)
        shrink = step * (1.0 - self.level)
        can_rise, can_fall = low < centre, high > centre
        if can_rise and can_fall:
            below, above = below + shrink / 2.0, above - shrink / 2.0
        elif can_rise:
            below += shrink
        elif can_fall:
            above -= shrink
        if truth < low:
            below -= step
        elif truth > high:
            above += step
        return np.clip((below, above), -OFFSET_CAP, OFFSET_CAP)

    def snapshot(self) -> dict[str, Any]:
        """Plain lists that `restore` reads back, to the bit."""
        return {"level": self.level, "offsets": self.offsets.tolist(), "cases": self.cases.tolist()}

    @classmethod
    def restore(cls, snapshot: dict[str, Any]) -> Self:
        """Read back `snapshot`; raises ValueError where it does not fit the buckets of this version."""
        online = cls(float(snapshot["level"]))
        online.offsets = np.array(snapshot["offsets"], np.float64)
        online.cases = np.array(snapshot["cases"], np.float64)
        if online.offsets.shape != (BUCKETS, 2) or online.cases.shape != (BUCKETS,):
            raise ValueError("the offsets of an interval do not fit this version")
        return online
