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


START_POSTS: Final = 100.0
"""So many posts speak for the shares that experts start from. Weights found from some hundred posts alone err by more
than they gain: 2 % of the error in folds of Weibo posts (docs/blend.md)."""

FAR_BEHIND: Final = 4.0
"""Evidence, twice the log likelihood ratio of normal errors, from which on an expert is taken to err more than the best
one: chance brings it once in twenty times (Wilks 1938). From there on its share to start from falls exponentially. 1 %
more squared error on 400 posts come to it, or twice as much on 6.
"""

STEADY_ANCHOR_POSTS: Final = 1600.0
STEADY_BIAS_POSTS: Final = 400.0
"""Before any score of the stream, weights at an age stay near those of all ages, and biases near 0, as by so many
posts: what a validation part shows of one age is mostly its chance, and what it shows of a bias belongs to its days."""


@dataclass(frozen=True, slots=True)
class BlendPrior:
    """What is known before the stream: moments of the validation part, each post in it one case whatever the number of
    ages it was seen at, and the weights to be drawn to."""

    moments: Moments
    anchor: Floats  # (K, E)

    @classmethod
    def ignorant(cls, experts: int, *, start: Floats | None = None) -> Self:
        """Nothing known: the shares to ``start`` from (E,), by default equal ones."""
        return cls(Moments.empty(experts), _starting(experts, start))

    @classmethod
    def fit(cls, errors: Floats, age_seconds: Floats, *, posts: int | None = None, start: Floats | None = None) -> Self:
        """From the experts' errors (n, E) on validation cases at ``age_seconds`` (n,), of so many ``posts``; by
        default as many as cases.

        The anchor of each knot is what all ages together say, itself drawn towards the shares to ``start`` from (E,),
        by default equal ones.
        """
        moments = Moments.of(errors, age_seconds)
        moments = moments.scaled(1.0 if posts is None else posts / len(errors))
        pooled, shares = moments.pooled(), _believed(_starting(moments.experts, start), moments)
        anchor = BlendWeights.solve(pooled, shares, anchor_cases=START_POSTS, bias_cases=STEADY_BIAS_POSTS)
        return cls(moments, anchor.weights)

    def weights(self, seen: Moments | None = None) -> BlendWeights:
        """The weights before any score of the stream (all validation cases count), or after those ``seen``."""
        if seen is None:
            return self.steady(by_few=True)
        shipped, own = self.steady(), BlendWeights.solve(seen, self.anchor)
        # Twice the log likelihood ratio of normal errors, by which the stream's own weights beat the shipped ones.
        tiny = np.finfo(np.float64).tiny
        worse = np.log(np.maximum(shipped.loss(seen), tiny) / np.maximum(own.loss(seen), tiny))
        tolerated = TOLERATED_EVIDENCE * (self.moments.experts + 1)
        trust = np.exp(-np.maximum(0.0, seen.count * worse / tolerated - 1.0))  # (K,)
        return BlendWeights.solve(self.moments.worth(PRIOR_CASES).scaled(trust) + seen, self.anchor, by_few=True)

    def steady(self, *, by_few: bool = False) -> BlendWeights:
        """The weights before any score, of all experts that they find or of as few as it takes."""
        return BlendWeights.solve(
            self.moments,
            self.anchor,
            anchor_cases=STEADY_ANCHOR_POSTS,
            bias_cases=STEADY_BIAS_POSTS,
            by_few=by_few,
        )


def _starting(experts: int, start: Floats | None) -> Floats:
    return (BlendWeights.equal(experts) if start is None else BlendWeights.same(start)).weights


def _believed(start: Floats, moments: Moments) -> Floats:
    """The shares to start from (K, E) without those of experts that err clearly more than the best of them."""
    pooled = moments.pooled()
    loss = np.maximum(np.diagonal(pooled.square[0]), np.finfo(np.float64).tiny)
    cases = max(0.0, float(pooled.count[0]) - moments.experts - 1)  # less the numbers that are found from them
    behind = cases * np.log(loss / loss[start[0] > 0.0].min())
    believed = start * np.exp(-np.maximum(0.0, behind / FAR_BEHIND - 1.0))
    shares: Floats = believed / believed.sum(axis=1, keepdims=True)
    return shares


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
