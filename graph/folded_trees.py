"""Cascade trees with their stars folded: the small graphs on which `graph.graphwave` lets heat flow.

Most nodes of a cascade are leaves that share a parent. A leaf meets the tree only through its parent, so the
matrix M = D^-1/2 A D^-1/2 acts on all leaves of one parent like on one vertex (the unit vector u of their
couplings) and is 0 on everything orthogonal to u. Folding them is exact, and few vertices remain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Nodes = tuple[NDArray[Any], NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Forest:
    """All nodes of all B cascades of a batch in a row; arrays by node unless said otherwise."""

    sizes: Ints  # (B,) nodes of each cascade
    row: Ints  # the node's cascade
    at: Ints  # its place there
    parent: Ints  # index into these arrays, -1 for a root
    coupling: Floats  # M[node, parent]
    hubs: Ints  # (H,) nodes whose leaves are folded into a star, ascending
    leaves: Ints  # (L,) those leaves, ascending
    hub: Ints  # (L,) index into hubs
    u: Floats  # (L,) the leaf's entry of its star's unit vector

    @classmethod
    def plant(cls, cascades: Sequence[Nodes], observation: Floats, max_nodes: int) -> Forest:
        """The earliest ``max_nodes`` nodes of each cascade, observed until the ages ``observation`` (B,)."""
        sizes = np.array([min(len(ages), max_nodes) for ages, _ in cascades], dtype=np.int64)
        if sizes.min() < 1:
            raise ValueError(f"cascade {int(sizes.argmin())} of the batch has no node, not even a root")
        offsets = np.cumsum(sizes) - sizes
        row = np.repeat(np.arange(len(sizes)), sizes)
        ages = np.concatenate([ages[:max_nodes] for ages, _ in cascades])
        local = np.concatenate([kept_parents(parents, max_nodes) for _, parents in cascades]).astype(np.int64)
        root = local < 0
        parent = np.where(root, -1, local + offsets[row])
        coupling = _couplings(ages, np.where(root, 0, parent), root, observation[row])

        childless = np.bincount(parent[~root], minlength=len(row)) == 0
        leaves = np.flatnonzero(childless & ~root)
        hub = parent[leaves]
        heavy = np.bincount(hub, coupling[leaves] ** 2, len(row))
        worth = (np.bincount(hub, minlength=len(row)) > 1) & (heavy > 0)
        leaves, hub = leaves[worth[hub]], hub[worth[hub]]
        hubs = np.flatnonzero(worth)
        u = coupling[leaves] / np.sqrt(heavy[hub])
        at = np.arange(len(row)) - offsets[row]
        return cls(sizes, row, at, parent, coupling, hubs, leaves, np.searchsorted(hubs, hub), u)


@dataclass(frozen=True, slots=True)
class FoldedTrees:
    """Folded trees of B cascades, padded to K vertices and N nodes: nodes come first, then one vertex a
    star."""

    singles: Ints  # (B,) vertices that are nodes
    vertices: Ints  # (B,) these and the stars
    mixing: Singles  # (B, K, K) M of the folded tree
    vertex: Ints  # (B, N) the vertex of a node
    unit: Singles  # (B, N) u of a folded leaf, 1 for other nodes
    leaf: Flags  # (B, N) the node is a folded leaf
    star: Ints  # (H,) vertex of each star of the forest

    @classmethod
    def fold(cls, forest: Forest) -> FoldedTrees:
        """Number the vertices of each cascade and lay out its matrix."""
        B, N, row, at = len(forest.sizes), int(forest.sizes.max()), forest.row, forest.at
        single = np.setdiff1d(np.arange(len(row)), forest.leaves, assume_unique=True)
        singles = np.bincount(row[single], minlength=B)
        stars = np.bincount(row[forest.hubs], minlength=B)
        star = singles[row[forest.hubs]] + ranks(row[forest.hubs], stars)
        number = np.empty(len(row), dtype=np.int64)
        number[single] = ranks(row[single], singles)
        number[forest.leaves] = star[forest.hub]

        vertices = singles + stars
        K = int(vertices.max())
        mixing = np.zeros((B, K, K), dtype=np.float32)
        child = single[forest.parent[single] >= 0]
        weight = np.sqrt(np.bincount(forest.hub, forest.coupling[forest.leaves] ** 2, len(forest.hubs)))
        for rows, low, high, value in (
            (row[child], number[child], number[forest.parent[child]], forest.coupling[child]),
            (row[forest.hubs], star, number[forest.hubs], weight),
        ):
            mixing[rows, low, high] = value
            mixing[rows, high, low] = value

        vertex = np.zeros((B, N), dtype=np.int64)
        unit = np.ones((B, N), dtype=np.float32)
        leaf = np.zeros((B, N), dtype=np.bool_)
        vertex[row, at] = number
        unit[row[forest.leaves], at[forest.leaves]] = forest.u
        leaf[row[forest.leaves], at[forest.leaves]] = True
        return cls(singles, vertices, mixing, vertex, unit, leaf, star)


def _couplings(ages: NDArray[Any], up: Ints, root: Flags, until: Floats) -> Floats:
    """M[node, parent] (0 for roots) with edges of weight 1 - age / observation age."""
    weight = 1.0 - np.divide(ages, until, out=np.zeros(len(ages)), where=until > 0)
    weight = np.where(root, 0.0, np.clip(weight, 0.0, 1.0))
    degree = weight + np.bincount(up, weight, len(up))
    linked = degree > 1e-10  # the bound of the authors' code: below it a node stands alone
    scale = np.zeros(len(up))
    scale[linked] = 1.0 / np.sqrt(degree[linked])
    return weight * scale * scale[up]


def kept_parents(parents: NDArray[Any], max_nodes: int) -> NDArray[Any]:
    """Parents of the first ``max_nodes`` nodes, each the nearest ancestor that is itself among them."""
    kept = parents[:max_nodes]
    while len(parents) > max_nodes and (beyond := kept >= max_nodes).any():
        kept = np.where(beyond, parents[kept], kept)
    return kept


def ranks(groups: Ints, counts: Ints) -> Ints:
    """Rank of each element within its group; ``groups`` ascending, ``counts`` the elements of each group."""
    return np.arange(len(groups)) - (np.cumsum(counts) - counts)[groups]
