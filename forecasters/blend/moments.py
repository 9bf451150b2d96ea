"""What a blend remembers of its experts' errors: weighted second moments at each knot of age.

With weights that sum to 1 the error of a blend is the same weighted mean of the experts' errors r = log2(1 + actual) -
log2(1 + expected), so the squared error of any blend over all cases follows from sum r r' and sum r. They are all that
is kept: a few hundred numbers, however many cascades have matured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from forecasters.learning_ages import KNOTS, knot_shares

Floats = NDArray[np.float64]

ERROR_CAP: Final = 8.0
"""log2 error beyond which one more doubling teaches nothing: a factor of 256. Keeps one absurd forecast from deciding
over an expert for a thousand cases."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums over cases, K = len(KNOTS), E experts: ``count`` (K,), ``error`` (K, E), ``square`` (K, E, E)."""

    count: Floats
    error: Floats
    square: Floats

    @classmethod
    def empty(cls, experts: int) -> Self:
        """Of no case."""
        K = len(KNOTS)
        return cls(np.zeros(K), np.zeros((K, experts)), np.zeros((K, experts, experts)))

    @classmethod
    def of(cls, errors: Floats, age_seconds: Floats) -> Self:
        """Of cases with the experts' ``errors`` (n, E) at ``age_seconds`` (n,); every case counts 1 in all."""
        h = knot_shares(age_seconds)  # (n, K)
        r = np.clip(errors, -ERROR_CAP, ERROR_CAP)
        return cls(h.sum(axis=0), h.T @ r, np.einsum("nk,ne,nf->kef", h, r, r))

    @property
    def experts(self) -> int:
        """E."""
        return int(self.error.shape[1])

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.count + other.count, self.error + other.error, self.square + other.square)

    def scaled(self, factor: Floats | float) -> Moments:
        """Every case counts ``factor`` times as much; one factor, or one for each knot (K,)."""
        f = np.broadcast_to(np.asarray(factor, dtype=np.float64), self.count.shape)
        return Moments(self.count * f, self.error * f[:, None], self.square * f[:, None, None])

    def worth(self, cases: float) -> Moments:
        """The same picture at each knot, as if drawn from at most ``cases`` cases."""
        return self.scaled(cases / np.maximum(self.count, cases))

    def pooled(self) -> Moments:
        """At every knot what all knots together show."""
        K = len(self.count)
        return Moments(
            np.full(K, self.count.sum()),
            np.repeat(self.error.sum(axis=0)[None], K, axis=0),
            np.repeat(self.square.sum(axis=0)[None], K, axis=0),
        )
