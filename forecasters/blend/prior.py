"""What a blend knows before its stream has shown anything, and how far it believes that once the stream has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from forecasters.blend.moments import Moments
from forecasters.blend.weights import BlendWeights

Floats = NDArray[np.float64]

PRIOR_CASES: Final = 150.0
"""What the validation part showed counts as at most so many matured cases at each knot, until the stream contradicts
it; more gained nothing on cascades like the validation part."""

TOLERATED_EVIDENCE: Final = 2.0
"""Evidence against the prior, for each free weight and the bias, from which on it gives way. If the prior is right the
likelihood ratio comes to 1 for each of them (Wilks 1938); ages of one cascade are no independent cases, hence 2."""

START_POSTS: Final = 100.0
"""So many posts speak for the shares that experts start from. Weights found from some hundred posts alone err by more
than they gain: 2 % of the error in folds of Weibo posts (docs/blend.md)."""

FAR_BEHIND: Final = 4.0
"""Evidence, twice the log likelihood ratio of normal errors, from which on an expert is taken to err more than the best
one: chance brings it once in twenty times (Wilks 1938). From there on its share to start from falls exponentially. 1 %
more squared error on 400 posts comes to it, or twice as much on a dozen.
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
        return cls(Moments.empty(experts), BlendWeights.same(_starting(experts, start)).weights)

    @classmethod
    def fit(cls, errors: Floats, age_seconds: Floats, *, posts: int | None = None, start: Floats | None = None) -> Self:
        """From the experts' errors (n, E) on validation cases at ``age_seconds`` (n,), of so many ``posts``; by
        default as many as cases.

        The anchor of each knot is what all ages together say, itself drawn towards the shares to ``start`` from (E,),
        by default equal ones.
        """
        moments = Moments.of(errors, age_seconds)
        moments = moments.scaled(1.0 if posts is None else posts / len(errors))
        pooled = moments.pooled()
        shares = BlendWeights.same(_believed(_starting(moments.experts, start), pooled)).weights
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
    return np.full(experts, 1.0 / experts) if start is None else start


def _believed(start: Floats, pooled: Moments) -> Floats:
    """The shares to start from (E,) without those of experts that err clearly more than the best of them."""
    loss = np.maximum(np.diagonal(pooled.square[0]), np.finfo(np.float64).tiny)
    cases = max(0.0, float(pooled.count[0]) - pooled.experts - 1)  # less the numbers that are found from them
    behind = cases * np.log(loss / loss[start > 0.0].min())
    believed = start * np.exp(-np.maximum(0.0, behind / FAR_BEHIND - 1.0))
    shares: Floats = believed / believed.sum()
    return shares
