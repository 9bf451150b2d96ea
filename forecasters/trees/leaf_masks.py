"""Which leaf of each tree a row reaches, without a walk: QuickScorer (Lucchese et al. 2015, SIGIR) in plain arrays.

The leaves of a tree are numbered from left to right. A row that does not go left at a node cannot reach the leaves on
the left of that node; of those that no node rules out it reaches the first. So a row is held against all nodes
in their order, which memory and processor like, where a walk looks at a node here and a node there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from forecasters.trees.side_by_side import SideBySide

Floats = NDArray[np.float64]
Places = NDArray[np.int32]

MOST_LEAVES: Final = 64
"""Bits of the widest mask."""
MANY_ROWS: Final = 64
"""So many rows take less time with the trees side by side."""
COMPARED_AT_ONCE: Final = 32_768
"""Comparisons whose arrays stay in a processor's second cache."""


@dataclass(frozen=True, slots=True, eq=False)
class LeafMasks:
    """N nodes of T trees, tree by tree; a tree that is a single leaf has one node, which rules nothing out."""

    features: NDArray[np.intp]  # (N,)
    thresholds: Floats  # (N,)
    ruled_out: NDArray[Any]  # (N,) unsigned; the bits of the leaves on the left
    starts: NDArray[np.intp]  # (T,) each tree's first node
    leaves: NDArray[np.intp]  # (T * bits,) places of the leaves among the trees' nodes, bits to a tree
    side_by_side: SideBySide

    @classmethod
    def of(cls, roots: Places, features: Places, thresholds: Floats, left: Places, right: Places) -> Self:
        """Of trees as in `TreeArrays`; raises `ValueError` for a node met twice and for more than 64 leaves a tree."""
        nodes: list[int] = []
        bits: list[int] = []
        starts: list[int] = []
        trees: list[list[int]] = []
        unseen = np.ones(len(features), dtype=bool).tolist()
        of, lefts, rights = features.tolist(), left.tolist(), right.tolist()
        for root in roots.tolist():
            starts.append(len(nodes))
            trees.append([])
            for node, before, until in _inner_nodes(root, of, lefts, rights, unseen, trees[-1]):
                nodes.append(node)
                bits.append((1 << until) - (1 << before))
            if starts[-1] == len(nodes):
                nodes.append(root)
                bits.append(0)
        most = max(map(len, trees), default=1)
        if most > MOST_LEAVES:
            raise ValueError(f"a tree has {most} leaves, and {MOST_LEAVES} are the most there may be")
        mask = np.uint32 if most <= 32 else np.uint64
        width = 8 * np.dtype(mask).itemsize
        leaves = np.zeros((len(trees), width), dtype=np.intp)
        for row, places in zip(leaves, trees, strict=True):
            row[: len(places)] = places
        chosen = np.array(nodes, dtype=np.intp)
        read, bounds = np.maximum(features[chosen], 0).astype(np.intp), thresholds[chosen]
        ruled_out, firsts = np.array(bits, dtype=mask), np.array(starts, dtype=np.intp)
        side_by_side = SideBySide.of(read, bounds, ruled_out, firsts)
        return cls(read, bounds, ruled_out, firsts, leaves.ravel(), side_by_side)

    def reached(self, X: Floats) -> NDArray[np.intp]:
        """Which of `leaves` (B, T) rows (B, F) reach."""
        if not len(X) or not len(self.starts):
            return np.zeros((len(X), len(self.starts)), dtype=np.intp)
        gone = self.side_by_side.gone(X) if len(X) >= MANY_ROWS else self._gone(X)
        one = gone.dtype.type(1)
        # the lowest bit that is not set has as many set bits below it as its number
        number = np.bitwise_count(gone & ~(gone + one))
        return np.asarray(number + 8 * gone.dtype.itemsize * np.arange(gone.shape[1]))

    def _gone(self, X: Floats) -> NDArray[Any]:
        """The bits of the leaves (B, T) that rows (B, F) cannot reach."""
        gone = np.zeros((len(X), len(self.starts)), dtype=self.ruled_out.dtype)
        rows = min(len(X), max(1, COMPARED_AT_ONCE // len(self.features)))
        values = np.empty((rows, len(self.features)))
        goes_right = np.empty(values.shape, dtype=bool)
        masks = np.empty(values.shape, dtype=gone.dtype)
        for first in range(0, len(X), rows):
            part = X[first : first + rows]
            some = slice(len(part))
            part.take(self.features, axis=1, out=values[some], mode="clip")
            np.less_equal(values[some], self.thresholds, out=goes_right[some])
            np.logical_not(goes_right[some], out=goes_right[some])  # also where a value is NaN
            np.multiply(goes_right[some], self.ruled_out, out=masks[some])
            np.bitwise_or.reduceat(masks[some], self.starts, axis=1, out=gone[first : first + rows])
        return gone


def _inner_nodes(
    root: int, features: list[int], left: list[int], right: list[int], unseen: list[bool], leaves: list[int]
) -> Iterator[tuple[int, int, int]]:
    """The inner nodes of a tree, each with the numbers of the leaves on its left, from and until; ``leaves`` takes the
    places of the leaves in their order. A stack, since a tree may be deeper than Python recurses."""
    waiting: list[tuple[int, int]] = [(root, -1)]
    while waiting:
        node, before = waiting.pop()
        if before >= 0:  # the left side is done
            yield node, before, len(leaves)
            waiting.append((right[node], -1))
            continue
        if not unseen[node]:
            raise ValueError("a node of the trees is reached in two ways")
        unseen[node] = False
        if features[node] < 0:
            leaves.append(node)
        else:
            waiting += [(node, len(leaves)), (left[node], -1)]
