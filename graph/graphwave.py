"""GraphWave: where a node stands in its cascade, as 40 numbers that need no training and no labels.

Donnat et al., "Learning Structural Node Embeddings via Diffusion Wavelets", KDD 2018 (arXiv:1710.10321). Heat
spreads from every node over the cascade's undirected graph; the characteristic function of where it arrives
is the node's signature. As the forecasters of the field use it: a child hangs on its parent by an edge of
weight ``1 - age / observation age``, the Laplacian is the normalised one, L = I - M with M = D^-1/2 A D^-1/2
(that of the authors' published code), heat kernels H = exp(-sL) at the two automatic scales, ten points of
[0, 100].

The usual way takes thirty Chebyshev terms of an n x n matrix and 40 n^2 sines. Four facts make it cheap here:

1. **Heat as a random clock.** exp(-sL) = sum_k Poisson(k; s) M^k. The scales are small (s < 1.6 for 100
   nodes) and the spectral norm of M is 1, so what is left out weighs no more than the Poisson tail: ten terms
   do.
2. **Stars fold** into one vertex each (`graph.folded_trees`). Between leaves i, j of one star, * its vertex,
   H is exp(-s) [i = j] + u_i u_j (H[*, *] - exp(-s)).
3. **Leaves of a large star look alike**: they are seen through ten points (`graph.star_points`).
4. **The points of [0, 100] are multiples** of the first: each costs one complex product more, and no sine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from graph.folded_trees import Flags, Floats, FoldedTrees, Forest, Ints, Nodes, Singles
from graph.star_points import PHASE_END, Points

POINTS: Final = 10
"""Points at which the characteristic function is taken, evenly from 0 to 100."""

STEP: Final = np.float32(PHASE_END / (POINTS - 1))

SCALE_LOGS: Final = (-math.log(0.95), -math.log(0.80))
"""The automatic scales keep 95 % and 80 % of the heat; times sqrt(0.5 n), the spectral gap being taken as
1/n."""

SIGNATURE_SIZE: Final = len(SCALE_LOGS) * 2 * POINTS

TAIL: Final = 1e-6
"""Largest Poisson weight of the terms left out: moves t psi by at most 1e-4 at t = 100."""

CHUNK: Final = 16
"""Cascades of like size worked on together: little padding, and arrays that stay in the processor's cache."""


def graphwave_batch(
    cascades: Sequence[Nodes], observation_seconds: ArrayLike, max_nodes: int = 100
) -> NDArray[np.float32]:
    """Signatures of the earliest ``max_nodes`` nodes of each cascade, within 1e-3 of the exact ones.

    ``cascades``: (ages, parents) of each, as in a `CascadeView`: ages (n,) in seconds, parents (n,) with -1
    for the root at index 0. ``observation_seconds``: the age t_o of the observation, one for all or one a
    cascade.

    Returns (B, N, 40) with N the nodes of the largest cascade, zeros past a cascade's own nodes. The 40 are,
    for the small and then the large scale, the real parts at the ten points, then the imaginary ones.

    A node of age t_o hangs by an edge of weight 0: it keeps its heat to itself. A parent beyond ``max_nodes``
    (its child is dated before it) gives way to its nearest kept ancestor. Raises ValueError for an empty
    cascade.
    """
    if not len(cascades):
        return np.zeros((0, 0, SIGNATURE_SIZE), dtype=np.float32)
    observation = np.broadcast_to(np.asarray(observation_seconds, dtype=np.float64), len(cascades))
    forest = Forest.plant(cascades, observation, max_nodes)
    scales = heat_scales(forest.sizes)
    trees = FoldedTrees.fold(forest)
    points = Points.choose(forest, trees, scales[:, -1])
    out = np.zeros((len(cascades), int(forest.sizes.max()), SIGNATURE_SIZE), dtype=np.float32)
    order = np.argsort(points.count, kind="stable")
    for start in range(0, len(order), CHUNK):
        rows = order[start : start + CHUNK]
        signatures = _signatures(rows, forest.sizes[rows], scales[rows], trees, points)
        out[rows, : signatures.shape[1]] = signatures
    return out


def graphwave(
    ages: NDArray[Any], parents: NDArray[Any], observation_seconds: float, max_nodes: int = 100
) -> NDArray[np.float32]:
    """Signatures (n, 40) of one cascade; see `graphwave_batch`."""
    signatures: NDArray[np.float32] = graphwave_batch([(ages, parents)], observation_seconds, max_nodes)[0]
    return signatures


def heat_scales(sizes: ArrayLike) -> Floats:
    """The automatic scales (..., 2) of graphs of ``sizes`` nodes."""
    return np.asarray(np.multiply.outer(np.sqrt(0.5 * np.asarray(sizes, dtype=np.float64)), SCALE_LOGS))


def _signatures(rows: Ints, sizes: Ints, scales: Floats, trees: FoldedTrees, points: Points) -> Singles:
    """Signatures (b, n, 40) of the cascades in ``rows``, n the nodes of the largest."""
    N, K, R = int(sizes.max()), int(trees.vertices[rows].max()), int(points.count[rows].max())
    share = points.share[rows, :N, :R]
    weight = share.sum(axis=1) / sizes[:, None].astype(np.float32)  # (b, R) part of the nodes a point stands for
    vertex, unit = points.vertex[rows, :R], points.unit[rows, :R]
    node_vertex, node_unit, leaf = trees.vertex[rows, :N], trees.unit[rows, :N], trees.leaf[rows, :N]
    block = (np.arange(len(rows)) * K)[:, None]
    pairs = ((block + vertex) * K)[:, :, None] + vertex[:, None, :]  # places in the flattened heat
    selves = (block + node_vertex) * K + node_vertex
    folded = np.arange(K) >= trees.singles[rows, None]  # (b, K) stars, and padding
    out = np.empty((len(rows), N, SIGNATURE_SIZE), dtype=np.float32)
    for index, heat in enumerate(_heat(trees.mixing[rows, :K, :K], scales)):
        still = np.exp(-scales[:, index, None]).astype(np.float32)  # (b, 1) heat that never moved
        heat[:, np.arange(K), np.arange(K)] -= folded * still
        psi = heat.ravel()[pairs]
        psi *= unit[:, :, None]
        psi *= unit[:, None, :]
        columns = out[:, :, index * 2 * POINTS : (index + 1) * 2 * POINTS]
        np.matmul(share, _characteristic(psi, weight), out=columns)
        _add_own(columns, leaf, (node_unit**2 * heat.ravel()[selves])[leaf], still, sizes)
    return out


def _heat(mixing: Singles, scales: Floats) -> list[Singles]:
    """Heat kernels exp(-s (I - M)), each (b, K, K), for each of the scales (b, 2): M^k weighted by Poisson(k;
    s).

    All terms are nonnegative, so nothing cancels, and what is left out is at most `TAIL` in spectral norm.
    """
    b, K, _ = mixing.shape
    chances = [np.exp(-scales)]
    left = 1.0 - chances[0]
    while left.max() > TAIL:
        chances.append(chances[-1] * scales / len(chances))
        left -= chances[-1]
    powers = np.empty((b, len(chances), K, K), dtype=np.float32)
    powers[:, 0] = np.eye(K, dtype=np.float32)
    for k in range(1, len(chances)):
        np.matmul(powers[:, k - 1], mixing, out=powers[:, k])
    poisson = np.stack(chances, axis=2).astype(np.float32)  # (b, 2, terms)
    heat = poisson @ powers.reshape(b, len(chances), K * K)
    return [np.ascontiguousarray(heat[:, i]).reshape(b, K, K) for i in range(scales.shape[1])]


def _characteristic(psi: Singles, weight: Singles) -> Singles:
    """Weighted mean over the last axis of exp(i t psi): (b, R, 2 POINTS), real parts and then imaginary
    ones."""
    psi *= STEP
    turn = np.empty(psi.shape, dtype=np.complex64)
    np.cos(psi, out=turn.real)
    np.sin(psi, out=turn.imag)
    out = np.zeros((*psi.shape[:2], 2 * POINTS), dtype=np.float32)
    out[:, :, 0] = weight.sum(axis=1, keepdims=True)
    weights = weight[:, :, None].astype(np.complex64)
    state = turn.copy()
    for k in range(1, POINTS):
        mean = (state @ weights)[:, :, 0]
        out[:, :, k], out[:, :, POINTS + k] = mean.real, mean.imag
        if k < POINTS - 1:
            state *= turn
    return out


def _add_own(columns: Singles, leaf: Flags, own: Singles, still: Singles, sizes: Ints) -> None:
    """Give each folded leaf its own heat: its diagonal entry of the kernel is ``own + still``, where the
    fold, which cannot tell a leaf from its neighbours, took ``own``. Shapes: leaf (b, N), own one a folded
    leaf, still (b, 1)."""
    t = np.arange(POINTS, dtype=np.float32) * STEP
    row = np.nonzero(leaf)[0]
    before = own[:, None] * t
    after = before + (still * t)[row]
    part = (1.0 / sizes).astype(np.float32)[row, None]
    columns[leaf] += part * np.concatenate((np.cos(after) - np.cos(before), np.sin(after) - np.sin(before)), axis=1)
