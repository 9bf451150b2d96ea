"""Which nodes many rows do not go left at: the k-th nodes of all trees side by side, each held against all rows.

A single row is held against all nodes in their order (`forecasters.trees.leaf_masks`), and its values are gathered one
by one. Of many rows the values of one feature lie together, and a node takes them all at once. A value is its rank
among the feature's thresholds: exact, and a quarter as wide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

TREES_AT_ONCE: Final = 256
"""Of so many trees and some hundred rows the arrays stay in a processor's second cache."""


@dataclass(frozen=True, slots=True, eq=False)
class SideBySide:
    """N nodes of T trees by their number within the tree; trees lie in order of their nodes' number, the largest first,
    so that those with a k-th node are the first ``len(features[k])``."""

    order: Places  # (T,) which tree lies where
    scales: tuple[Floats, ...]  # of each feature, its thresholds, ascending
    features: tuple[Places, ...]  # of each k
    ranks: tuple[NDArray[Any], ...]  # of the thresholds, unsigned
    ruled_out: tuple[NDArray[Any], ...]

    @classmethod
    def of(cls, features: Places, thresholds: Floats, ruled_out: NDArray[Any], starts: Places) -> Self:
        """Of the nodes (N,) of trees that begin at ``starts`` (T,), as in `LeafMasks`."""
        counts = np.diff(np.append(starts, len(features)))
        order = np.argsort(-counts, kind="stable")
        scales = tuple(np.unique(thresholds[features == one]) for one in range(int(features.max(initial=-1)) + 1))
        wide = max(map(len, scales), default=0) > np.iinfo(np.uint16).max - 1
        ranks = np.zeros(len(features), dtype=np.uint32 if wide else np.uint16)
        for one, scale in enumerate(scales):
            ranks[features == one] = np.searchsorted(scale, thresholds[features == one])
        nodes = [starts[order[counts[order] > k]] + k for k in range(int(counts.max(initial=0)))]
        return cls(
            order,
            scales,
            tuple(features[some] for some in nodes),
            tuple(ranks[some][:, None] for some in nodes),
            tuple(ruled_out[some][:, None] for some in nodes),
        )

    def gone(self, X: Floats) -> NDArray[Any]:
        """The bits of the leaves (B, T) that rows (B, F) cannot reach."""
        trees, rows = len(self.order), len(X)
        ranks, masks = self.ranks[0].dtype, self.ruled_out[0].dtype
        # What is above the threshold, as NaN is, has a higher rank; what equals it has the same.
        values = np.empty((len(self.scales), rows), dtype=ranks)
        for one, scale in enumerate(self.scales):
            values[one] = np.searchsorted(scale, X[:, one], side="left")
        sorted_gone = np.zeros((trees, rows), dtype=masks)
        taken = np.empty((TREES_AT_ONCE, rows), dtype=ranks)
        goes_right = np.empty(taken.shape, dtype=bool)
        ruled_out = np.empty(taken.shape, dtype=masks)
        for first in range(0, trees, TREES_AT_ONCE):
            for features, thresholds, bits in zip(self.features, self.ranks, self.ruled_out, strict=True):
                until = min(first + TREES_AT_ONCE, len(features))
                if until <= first:
                    break
                some = slice(until - first)
                values.take(features[first:until], axis=0, out=taken[some], mode="clip")
                np.greater(taken[some], thresholds[first:until], out=goes_right[some])
                np.multiply(goes_right[some], bits[first:until], out=ruled_out[some])
                sorted_gone[first:until] |= ruled_out[some]
        gone = np.empty((rows, trees), dtype=masks)
        gone[:, self.order] = sorted_gone.T
        return gone
