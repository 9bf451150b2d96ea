"""Points of view: the few places of a folded tree from which all its nodes are seen.

The leaves of one star differ in one number, their entry u of the star's unit vector, and what they send to
and get from the rest depends on it smoothly. A star whose leaves lie close enough together is therefore seen
through ``NODES`` Chebyshev points of u, and its leaves are interpolated; any other node is a point of its
own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from graph.folded_trees import Flags, Floats, FoldedTrees, Forest, Ints, Singles, ranks

PHASE_END: Final = 100.0
"""Signatures take exp(i t psi) up to this t: it bounds how fast the exponential can turn within a star."""

NODES: Final = 10
"""Chebyshev points of a star; one of no more leaves than that is not worth it."""

TOLERANCE: Final = 1e-4
"""Largest interpolation error of exp(i t psi): a tenth of the 1e-3 promised of a signature."""


@dataclass(frozen=True, slots=True)
class Points:
    """R points of each of B cascades, padded with points that no node shares."""

    count: Ints  # (B,) used of R
    vertex: Ints  # (B, R) whose heat the point sees
    unit: Singles  # (B, R) ... times this
    share: Singles  # (B, N, R) node = sum of share * point

    @classmethod
    def choose(cls, forest: Forest, trees: FoldedTrees, scales: Floats) -> Points:
        """Points of a batch; ``scales`` (B,) are the largest heat scales of the cascades."""
        B, row, at = len(forest.sizes), forest.row, forest.at
        smooth, low, high = _smooth_stars(forest, scales)
        shared = smooth[forest.hub]
        leaves, hub = forest.leaves[shared], (np.cumsum(smooth) - 1)[forest.hub[shared]]
        hubs, star = forest.hubs[smooth], trees.star[smooth]
        own = np.setdiff1d(np.arange(len(row)), leaves, assume_unique=True)

        singles, stars = np.bincount(row[own], minlength=B), np.bincount(row[hubs], minlength=B)
        count = singles + stars * NODES
        number = ranks(row[own], singles)
        place = (singles[row[hubs]] + ranks(row[hubs], stars) * NODES)[:, None] + np.arange(NODES)
        nodes, basis = _interpolation(forest.u[shared], hub, low[smooth], high[smooth])

        N, R = int(forest.sizes.max()), int(count.max())
        vertex = np.zeros((B, R), dtype=np.int64)
        unit = np.zeros((B, R), dtype=np.float32)
        share = np.zeros((B, N, R), dtype=np.float32)
        vertex[row[own], number] = trees.vertex[row[own], at[own]]
        unit[row[own], number] = trees.unit[row[own], at[own]]
        share[row[own], at[own], number] = 1.0
        vertex[row[hubs, None], place] = star[:, None]
        unit[row[hubs, None], place] = nodes
        share[row[leaves, None], at[leaves, None], place[hub]] = basis
        return cls(count, vertex, unit, share)


def _smooth_stars(forest: Forest, scales: Floats) -> tuple[Flags, Floats, Floats]:
    """Which stars may be interpolated, and the range of u in each.

    Interpolating exp(i a x), |x| <= 1, in J Chebyshev points errs by at most 2 (a/2)^J / J!. Here a is half
    the range of u times t times the largest entry off the diagonal of exp(-sL), at most (1 - exp(-2s)) / 2
    since the eigenvalues lie in [exp(-2s), 1].
    """
    count = np.bincount(forest.hub, minlength=len(forest.hubs))
    low, high = np.full(len(count), np.inf), np.zeros(len(count))
    np.minimum.at(low, forest.hub, forest.u)
    np.maximum.at(high, forest.hub, forest.u)
    turn = PHASE_END * (high - low) / 2 * -np.expm1(-2 * scales[forest.row[forest.hubs]]) / 2
    error = 2 * (turn / 2) ** NODES / math.factorial(NODES)
    return (count > NODES) & (error <= TOLERANCE), low, high


def _interpolation(u: Floats, star: Ints, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Chebyshev points (H, NODES) of each star, and the weights (len(u), NODES) that interpolate each leaf.

    Lagrange's polynomials in barycentric form; a leaf that falls on a point takes that point's value.
    """
    angles = (2 * np.arange(NODES) + 1) * np.pi / (2 * NODES)
    half = np.maximum((high - low) / 2, 1e-9)  # equal leaves: any width will do
    nodes = ((low + high) / 2)[:, None] + half[:, None] * np.cos(angles)
    gap = (u[:, None] - nodes[star]) / half[star, None]
    hit = np.abs(gap) < 1e-12
    ratio = np.sin(angles) * (-1.0) ** np.arange(NODES) / np.where(hit, 1.0, gap)
    ratio = np.where(hit.any(axis=1, keepdims=True), hit, ratio)
    return nodes, ratio / ratio.sum(axis=1, keepdims=True)
