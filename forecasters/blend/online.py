"""Weights that follow the experts' scores: follow the regularised leader, from a prior, with forgetting."""

from __future__ import annotations

from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from forecasters.blend.moments import ERROR_CAP, Moments
from forecasters.blend.prior import BlendPrior
from forecasters.blend.weights import BlendWeights
from forecasters.learning_ages import KNOTS, knot_shares

Floats = NDArray[np.float64]

MEMORY_CASES: Final = 800.0
"""At each knot a case counts 1/e after so many more: long enough that forgetting costs less than a percent of the
error where nothing changes, short enough that a platform which changed is followed."""


class OnlineBlend:
    """The moments of a stream's own scores; one case after another, the same however they are grouped.

    >>> online = OnlineBlend(2)
    >>> online.update(np.array([[0.0, 3.0]] * 500), np.full(500, 3600.0))
    >>> online.weights(BlendPrior.ignorant(2)).weights[2].round(1).tolist()
    [1.0, 0.0]
    """

    def __init__(self, experts: int) -> None:
        self.moments = Moments.empty(experts)

    def update(self, errors: Floats, age_seconds: Floats) -> None:
        """Learn from matured forecasts in their order: the experts' log2 ``errors`` (n, E) at ``age_seconds`` (n,)."""
        count, error, square = (array.copy() for array in self._arrays())
        shares = knot_shares(np.asarray(age_seconds, np.float64))
        for h, raw in zip(shares, np.clip(errors, -ERROR_CAP, ERROR_CAP), strict=True):
            keep = np.exp(-h / MEMORY_CASES)  # (K,)
            count = count * keep + h
            error = error * keep[:, None] + h[:, None] * raw
            square = square * keep[:, None, None] + h[:, None, None] * np.outer(raw, raw)
        self.moments = Moments(count, error, square)

    def weights(self, prior: BlendPrior) -> BlendWeights:
        """The weights in force after all updates."""
        return prior.weights(self.moments)

    def snapshot(self) -> dict[str, Any]:
        """Plain lists that `restore` reads back, to the bit."""
        return {"count": self.moments.count.tolist(), "error": self.moments.error.tolist(),
                "square": self.moments.square.tolist()}  # fmt: skip

    @classmethod
    def restore(cls, snapshot: dict[str, Any]) -> Self:
        """Read back `snapshot`; raises ValueError where it does not fit the knots of this version."""
        count, error, square = (np.array(snapshot[name], np.float64) for name in ("count", "error", "square"))
        K = len(KNOTS)
        if count.shape != (K,) or error.ndim != 2 or len(error) != K or square.shape != (*error.shape, error.shape[1]):
            raise ValueError("a blend's moments do not fit this version")
        online = cls(error.shape[1])
        online.moments = Moments(count, error, square)
        return online

    def _arrays(self) -> tuple[Floats, Floats, Floats]:
        return self.moments.count, self.moments.error, self.moments.square
