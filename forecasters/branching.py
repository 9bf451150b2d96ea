"""Expected counts of a self-exciting process: the arithmetic that SEISMIC and the Hawkes forecaster share.

Each event of a self-exciting process begets, on average, n* more, spread over the time after it by a memory
kernel phi with integral Phi. Given the history, the expected number I(u) of events in the next u seconds
solves the renewal equation

    I(u) = G(u) + n* * integral_0^u phi(u - s) I(s) ds,        G(u): direct children of the history by then.

(the mean of a Hawkes process; Hawkes & Oakes 1974). Time is cut into bins in which events count as spread
evenly, which turns the equation into a lower-triangular system solved bin by bin: finite at every finite
time, for n* >= 1 as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MIN_DENOMINATOR: Final = 1e-3
"""Where n* times a bin's own excitation reaches 1 the bin would beget itself without end: growth there is
faster than the bins resolve, and the answer runs off to the cap, as it should."""

MAX_COUNT: Final = 1e12
"""Counts stop here: supercritical growth over a long horizon overflows otherwise."""


@dataclass(frozen=True, slots=True)
class OmoriKernel:
    """phi(s) = theta c^theta (s + c)^-(1 + theta): the power law of Hawkes models (Mishra, Rizoiu & Xie
    2016)."""

    theta: float
    c: float

    def cumulative(self, s: Floats) -> Floats:
        """Phi(s) = 1 - (1 + s/c)^-theta, for s >= 0."""
        return -np.expm1(-self.theta * np.log1p(s / self.c))

    def twice_cumulative(self, s: Floats) -> Floats:
        """The integral of Phi from 0 to s (theta below 1): s - c [(1 + s/c)^(1 - theta) - 1] / (1 -
        theta)."""
        power = 1.0 - self.theta
        return s - self.c * np.expm1(power * np.log1p(s / self.c)) / power


@dataclass(frozen=True, slots=True)
class PlateauKernel:
    """phi(s) = k up to s0, then k (s / s0)^-(1 + theta): SEISMIC's memory kernel, equation (4) of arXiv
    1506.02594.

    k makes the integral 1; the paper's fitted 6.27e-4 per second agrees with it to 4 %.
    """

    theta: float
    s0: float

    @property
    def height(self) -> float:
        """k, per second."""
        return self.theta / (self.s0 * (1.0 + self.theta))

    def cumulative(self, s: Floats) -> Floats:
        """Phi(s), for s >= 0."""
        ratio = np.maximum(s / self.s0, 1.0)
        tail = -np.expm1(-self.theta * np.log(ratio)) / self.theta
        return self.height * self.s0 * (np.minimum(s / self.s0, 1.0) + tail)

    def twice_cumulative(self, s: Floats) -> Floats:
        """The integral of Phi from 0 to s."""
        inside, ratio = np.minimum(s, self.s0), np.maximum(s / self.s0, 1.0)
        beyond = (ratio - 1.0) * self.s0
        power = 1.0 - self.theta
        tail = (beyond - self.s0 * np.expm1(power * np.log(ratio)) / power) / self.theta
        return self.height * (inside**2 / 2.0 + self.s0 * (beyond + tail))


def excitation_matrix(edges: Floats, twice_cumulative: Callable[[Floats], Floats]) -> Floats:
    """A (K, K), lower triangular: the children that one event, somewhere in bin j, has in bin k when n* = 1.

    ``edges`` (K + 1,) ascend. The event's place is averaged over its bin, so A follows from the second
    integral of phi: A[k, j] = [P(b_k+1 - b_j) - P(b_k+1 - b_j+1) - P(b_k - b_j) + P(b_k - b_j+1)] / (b_j+1 -
    b_j), P(x < 0) = 0.
    """
    left, right = edges[:-1], edges[1:]

    def integral(x: Floats) -> Floats:
        return twice_cumulative(np.maximum(x, 0.0))

    children = integral(right[:, None] - left) - integral(right[:, None] - right)
    children -= integral(left[:, None] - left) - integral(left[:, None] - right)
    return np.tril(np.maximum(children, 0.0) / (right - left))


def expected_counts(direct: Floats, branching: Floats, excitation: Floats) -> Floats:
    """Expected events in each future bin, all generations: solves m = direct + n* A m.

    Shapes: direct (..., K), children of the history in each bin; branching (...,); excitation (..., K, K) or
    (K, K). Each row on its own, bin after bin; values stop at MAX_COUNT.
    """
    counts = np.zeros_like(direct)
    for k in range(direct.shape[-1]):
        earlier = np.sum(counts[..., :k] * excitation[..., k, :k], axis=-1)
        denominator = np.maximum(1.0 - branching * excitation[..., k, k], MIN_DENOMINATOR)
        counts[..., k] = np.minimum((direct[..., k] + branching * earlier) / denominator, MAX_COUNT)
    return counts


def interpolate_rows(at: Floats, grid: Floats, values: Floats) -> Floats:
    """Row-wise linear interpolation: ``at`` (B, P), ascending ``grid`` (L,), ``values`` (B, L) -> (B, P)."""
    place = np.clip(np.searchsorted(grid, at, side="right") - 1, 0, len(grid) - 2)
    left, right = np.take_along_axis(values, place, axis=1), np.take_along_axis(values, place + 1, axis=1)
    share = np.clip((at - grid[place]) / (grid[place + 1] - grid[place]), 0.0, 1.0)
    return left + share * (right - left)
