"""Weights that follow the experts' scores: follow the regularised leader, from a prior, with forgetting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from forecasters.blend.moments import ERROR_CAP, Moments
from forecasters.blend.weights import BlendWeights
from forecasters.learning_ages import KNOTS, knot_shares

Floats = NDArray[np.float64]

PRIOR_CASES: Final = 150.0
"""What the validation part showed counts as at most so many matured cases at each knot, until the stream contradicts
it; more gained nothing on cascades like the validation part."""

TOLERATED_EVIDENCE: Final = 2.0
"""Evidence against the prior, for each free weight and the bias, from which on it gives way. If the prior is right the
likelihood ratio comes to 1 for each of them (Wilks 1938); ages of one cascade are no independent cases, hence 2."""

MEMORY_CASES: Final = 800.0
"""At each knot a case counts 1/e after so many more: long enough that forgetting costs less than a percent of the
error where nothing changes, short enough that a platform which changed is followed."""


STEADY_ANCHOR_CASES: Final = 400.0
STEADY_BIAS_CASES: Final = 400.0
"""Before any score of the stream, weights at an age stay near those of all ages, and biases near 0, as by so many
cases: what a validation part shows of one age is mostly its chance, and what it shows of a bias belongs to its days.
On cross-validated errors of Weibo cascades, three experts nearly alike among six, the blend came 0.1 % nearer to its
best expert on a random validation part, 0.5 % on an older one."""


@dataclass(frozen=True, slots=True)
class BlendPrior:
    """What is known before the stream: moments of the validation part, and the weights to be drawn to."""

    moments: Moments
    anchor: Floats  # (K, E)

    @classmethod
    def ignorant(cls, experts: int) -> Self:
        """Nothing known: equal weights."""
        return cls(Moments.empty(experts), BlendWeights.equal(experts).weights)

    @classmethod
    def fit(cls, errors: Floats, age_seconds: Floats) -> Self:
        """From the experts' errors (n, E) on validation cases at ``age_seconds`` (n,).

        The anchor of each knot is what all ages together say, itself drawn towards equal weights.
        """
        moments = Moments.of(errors, age_seconds)
        equal = BlendWeights.equal(moments.experts).weights
        return cls(moments, BlendWeights.solve(moments.pooled(), equal).weights)

    def weights(self, seen: Moments | None = None) -> BlendWeights:
        """The weights before any score of the stream (all validation cases count), or after those ``seen``."""
        if seen is None:
            return BlendWeights.solve(
                self.moments,
                self.anchor,
                anchor_cases=STEADY_ANCHOR_CASES,
                bias_cases=STEADY_BIAS_CASES,
                by_few=True,
            )
        shipped = BlendWeights.solve(self.moments, self.anchor)
        own = BlendWeights.solve(seen, self.anchor)
        # Twice the log likelihood ratio of normal errors, by which the stream's own weights beat the shipped ones.
        tiny = np.finfo(np.float64).tiny
        worse = np.log(np.maximum(shipped.loss(seen), tiny) / np.maximum(own.loss(seen), tiny))
        tolerated = TOLERATED_EVIDENCE * (self.moments.experts + 1)
        trust = np.exp(-np.maximum(0.0, seen.count * worse / tolerated - 1.0))  # (K,)
        return BlendWeights.solve(self.moments.worth(PRIOR_CASES).scaled(trust) + seen, self.anchor, by_few=True)


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
