"""How good a model's last forecasts were, by age: weighted means of what each score says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from forecasters.learning_ages import BUCKETS

Floats = NDArray[np.float64]

MEMORY_SCORES: Final = 500.0
"""A score counts 1/e after so many more: a coverage of 80 % then shows with a standard error of 1.3 points."""

FIGURES: Final = ("msle", "bias", "mape", "coverage")
"""As in `forecasters.metrics`."""


class RollingScores:
    """The last scores of one model on one stream; one after another, the same however they are grouped.

    >>> rolling = RollingScores()
    >>> rolling.add([2, 2], [1.0, -3.0], [0.5, 0.1], [True, False])
    >>> {name: round(value, 2) for name, value in rolling.figures(2).items()}
    {'msle': 5.0, 'bias': -1.0, 'mape': 0.3, 'coverage': 0.5}
    """

    def __init__(self) -> None:
        self.sums: Floats = np.zeros((BUCKETS, 1 + len(FIGURES)))  # weight, then a weighted sum for each figure

    def add(
        self,
        buckets: Sequence[int],
        log_errors: Sequence[float],
        percentage_errors: Sequence[float],
        covered: Sequence[bool],
    ) -> None:
        """Take in scores in their order, each (n,); makes new sums, so that copies made before keep theirs."""
        sums, keep = self.sums.copy(), 1.0 - 1.0 / MEMORY_SCORES
        for bucket, error, share, inside in zip(buckets, log_errors, percentage_errors, covered, strict=True):
            sums[bucket] = sums[bucket] * keep + (1.0, error * error, error, share, inside)
        self.sums = sums

    def __add__(self, other: Self) -> Self:
        """The scores of both: those of two partitions of a stream."""
        both = type(self)()
        both.sums = self.sums + other.sums
        return both

    def cases(self, bucket: int) -> float:
        """How many scores of a bucket of age the figures rest on: each counts as much as it still weighs."""
        return float(self.sums[bucket, 0])

    def figures(self, bucket: int) -> dict[str, float]:
        """Each of `FIGURES` of the last scores of a bucket of age; nothing where there is no score."""
        weight, *sums = self.sums[bucket].tolist()
        return {name: value / weight for name, value in zip(FIGURES, sums, strict=True)} if weight else {}

    def snapshot(self) -> list[list[float]]:
        """Plain lists that `restore` reads back, to the bit."""
        return self.sums.tolist()  # type: ignore[no-any-return]

    @classmethod
    def restore(cls, snapshot: list[list[float]]) -> Self:
        """Read back `snapshot`; raises ValueError where it does not fit the buckets of this version."""
        rolling = cls()
        sums = np.array(snapshot, np.float64)
        if sums.shape != rolling.sums.shape:
            raise ValueError("rolling scores do not fit this version")
        rolling.sums = sums
        return rolling
