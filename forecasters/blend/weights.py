"""From the moments of the experts' errors to weights and a bias at each knot."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from forecasters.blend.moments import Moments
from forecasters.blend.simplex import simplex_minimum
from forecasters.learning_ages import KNOTS, knot_shares

Floats = NDArray[np.float64]

ANCHOR_CASES: Final = 20.0
"""Weights start out as if this many cases had shown the anchor to be best: safe with a validation part of fifty."""

DISAGREEMENT: Final = 0.25
"""log2 squared by which two experts' errors differ in such a case: half a doubling, as measured between the shipped
ones. It gives the anchor a scale."""

BIAS_CASES: Final = 100.0
"""A bias counts as measured once so many cases show it: the mean of an error of one doubling is then known to 0.1."""

WORTH_ASKING: Final = 0.0025
"""Part of the squared error that further experts must save to be asked: an expert's forecast costs as much whatever it
weighs."""

AS_GOOD: Final = 0.005
"""Part of the squared error that a set of experts may cost for being cheaper than another of as many: less than that no
validation part can tell from chance."""


@dataclass(frozen=True, slots=True)
class BlendWeights:
    """What a blend says: log2(1 + increment) = sum_e weights_e log2(1 + increment_e) + bias, at each knot of age.

    ``weights`` (K, E), rows on the simplex; ``bias`` (K,).
    """

    weights: Floats
    bias: Floats

    @classmethod
    def equal(cls, experts: int) -> Self:
        """Every expert alike, no bias."""
        return cls.same(np.full(experts, 1.0 / experts))

    @classmethod
    def same(cls, shares: Floats) -> Self:
        """The experts' ``shares`` (E,) at every age, no bias."""
        return cls(np.tile(shares, (len(KNOTS), 1)), np.zeros(len(KNOTS)))

    @classmethod
    def solve(
        cls,
        moments: Moments,
        anchor: Floats,
        *,
        anchor_cases: float = ANCHOR_CASES,
        bias_cases: float = BIAS_CASES,
        by_few: bool = False,
    ) -> Self:
        """The least-squares weights at each knot, drawn towards ``anchor`` (K, E) as by so many cases; see `Fit`.

        ``by_few``: of as few experts as the error allows, `WORTH_ASKING` above that of all; the others weigh nothing
        at any age, and need not be asked. How many it takes is found by leaving out one after the other, those that
        weigh least first. Of all sets of so many experts that are `AS_GOOD`, it is then the one whose costliest expert
        is the cheapest; experts are listed from the cheap to the costly. `ANCHOR_CASES` speak for the anchor there,
        however strongly weights are drawn to it: of two experts that say the same both are kept only while few cases
        have shown it.
        """
        fit = Fit.of(moments, anchor, anchor_cases=anchor_cases, bias_cases=bias_cases)
        weights, bias = fit.solution()
        if not by_few:
            return cls(weights, bias)
        judged = Fit.of(moments, anchor, anchor_cases=ANCHOR_CASES, bias_cases=bias_cases)
        best = judged.value(weights)
        heard = np.ones(moments.experts, np.bool_)
        for expert in np.argsort(weights.sum(axis=0), kind="stable")[:-1]:
            fewer = heard.copy()
            fewer[expert] = False
            found = (weights, bias) if not weights[:, expert].any() else fit.solution(fewer)
            if judged.value(found[0]) <= (1.0 + WORTH_ASKING) * best:
                heard, (weights, bias) = fewer, found
        sets = itertools.combinations(range(moments.experts), int(heard.sum()))
        for among in sorted(sets, key=lambda some: some[::-1]):  # the costliest of each decides
            few = np.isin(np.arange(moments.experts), among)
            if (few == heard).all():
                break
            found = fit.solution(few)
            if judged.value(found[0]) <= (1.0 + AS_GOOD) * best:
                return cls(*found)
        return cls(weights, bias)

    def at(self, age_seconds: Floats) -> tuple[Floats, Floats]:
        """Weights (n, E) and bias (n,) at each age."""
        h = knot_shares(age_seconds)
        return h @ self.weights, h @ self.bias

    def growth(self, logs: Floats, age_seconds: Floats) -> Floats:
        """log2(1 + increment) (n,) of the blend, from the experts' ``logs`` (n, E); never below 0."""
        weights, bias = self.at(age_seconds)
        blended: Floats = np.maximum(0.0, np.einsum("ne,ne->n", weights, logs) + bias)
        return blended

    def loss(self, moments: Moments) -> Floats:
        """Sum of squared errors (K,) over the cases of the moments: w'Rw - 2 b w'm + n b^2."""
        squares = np.einsum("ke,kef,kf->k", self.weights, moments.square, self.weights)
        errors = np.einsum("ke,ke->k", self.weights, moments.error)
        found: Floats = squares - 2.0 * self.bias * errors + moments.count * self.bias**2
        return found

    def to_config(self) -> dict[str, Any]:
        """A JSON object that `from_config` reads back."""
        return {"weights": self.weights.tolist(), "bias": self.bias.tolist()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Read back `to_config`; raises ValueError for what is no set of weights."""
        weights, bias = np.array(config["weights"], np.float64), np.array(config["bias"], np.float64)
        if weights.ndim != 2 or len(weights) != len(KNOTS) or bias.shape != (len(KNOTS),):
            raise ValueError(f"weights must be given for {len(KNOTS)} ages")
        if not (np.isfinite(bias).all() and (weights >= 0.0).all() and np.allclose(weights.sum(axis=1), 1.0)):
            raise ValueError("weights must be at least 0 and sum to 1 at each age")
        return cls(weights, bias)


@dataclass(frozen=True, slots=True)
class Fit:
    """What weights are found by: at each knot sum (w'r - beta)^2 + rho |w - anchor|^2 + B beta^2, to be made least
    over w on the simplex and beta.

    rho = anchor_cases * DISAGREEMENT, B = bias_cases. For given w, beta = w'm / n with m = sum r and n the number of
    cases and B; what is left is quadratic in w: w'Qw - 2 rho w'anchor + rho |anchor|^2.
    """

    quadratic: Floats  # Q (K, E, E)
    anchor: Floats  # (K, E)
    rho: float
    bias_of: Floats  # m / n (K, E)

    @classmethod
    def of(cls, moments: Moments, anchor: Floats, *, anchor_cases: float, bias_cases: float) -> Self:
        """Of the moments of errors."""
        rho = anchor_cases * DISAGREEMENT
        m, n = moments.error, moments.count[:, None] + bias_cases
        Q = moments.square - m[:, :, None] * m[:, None, :] / n[:, :, None] + rho * np.eye(moments.experts)
        return cls(Q, anchor, rho, m / n)

    def solution(self, heard: NDArray[np.bool_] | None = None) -> tuple[Floats, Floats]:
        """The best weights (K, E) and biases (K,), of all experts or of those ``heard`` (E,) alone."""
        K, E = self.anchor.shape
        among = np.arange(E) if heard is None else np.flatnonzero(heard)
        weights = np.zeros((K, E))
        for k in range(K):
            weights[k, among] = simplex_minimum(
                self.quadratic[k][np.ix_(among, among)], self.rho * self.anchor[k, among]
            )
        return weights, np.einsum("ke,ke->k", weights, self.bias_of)

    def value(self, weights: Floats) -> float:
        """What is made least, of all knots together."""
        quadratic = np.einsum("ke,kef,kf->", weights, self.quadratic, weights)
        return float(quadratic + self.rho * np.sum(self.anchor * (self.anchor - 2.0 * weights)))
