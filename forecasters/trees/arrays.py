"""A sum of regression trees as arrays, for all rows and all trees at once.

LightGBM brings a library of the operating system with it (OpenMP) that a fresh machine may lack, and its own file
format. A forecast needs neither: a node is a feature, a threshold and two children.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from forecasters.trees.leaf_masks import LeafMasks

Floats = NDArray[np.float64]

LEAF: Final = -1
ROWS_AT_ONCE: Final = 256
"""Bounds the memory: rows x trees places at a time."""


@dataclass(frozen=True, slots=True)
class TreeArrays:
    """T trees of M nodes in all. A row goes left where its feature is at most the threshold.

    Shapes: roots (T,) places of the roots; features, left, right (M,) int32, features `LEAF` at leaves; thresholds,
    values (M,) float64, values 0 at inner nodes. Raises `ValueError` for what are no trees of at most 64 leaves.
    """

    roots: NDArray[np.int32]
    features: NDArray[np.int32]
    thresholds: Floats
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    values: Floats
    _masks: LeafMasks = field(init=False, repr=False, compare=False)
    _leaf_values: Floats = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        masks = LeafMasks.of(self.roots, self.features, self.thresholds, self.left, self.right)
        object.__setattr__(self, "_masks", masks)
        object.__setattr__(self, "_leaf_values", self.values[masks.leaves])

    @classmethod
    def from_lightgbm(cls, models: Sequence[Mapping[str, Any]]) -> Self:
        """Of the dumps (`Booster.dump_model`) of several boosters: the mean of their forecasts.

        Raises `ValueError` for a split that is not numerical, or a feature with missing values: neither occurs here.
        """
        builder = _Builder(weight=1.0 / len(models))
        for model in models:
            for tree in model["tree_info"]:
                builder.add(tree["tree_structure"])
        return cls(
            np.array(builder.roots, dtype=np.int32),
            np.array(builder.features, dtype=np.int32),
            np.array(builder.thresholds),
            np.array(builder.left, dtype=np.int32),
            np.array(builder.right, dtype=np.int32),
            np.array(builder.values),
        )

    def predict(self, X: Floats) -> Floats:
        """The sum of the trees, (B,), of rows (B, F); each row on its own."""
        parts = [self._sums(X[first : first + ROWS_AT_ONCE]) for first in range(0, len(X), ROWS_AT_ONCE)]
        return np.concatenate(parts) if parts else np.zeros(0)

    def _sums(self, X: Floats) -> Floats:
        if not len(self.roots):
            return np.zeros(len(X))
        values = self._leaf_values.take(self._masks.reached(X))
        # summed tree by tree in one order, so that the rest of the batch changes no bit
        return np.cumsum(values, axis=1, out=values)[:, -1].copy()

    def tensors(self) -> dict[str, NDArray[Any]]:
        """What model.safetensors keeps."""
        return {
            "trees.roots": self.roots,
            "trees.features": self.features,
            "trees.thresholds": self.thresholds,
            "trees.left": self.left,
            "trees.right": self.right,
            "trees.values": self.values,
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]], inputs: int) -> Self:
        """Read back `tensors` for rows of ``inputs`` features.

        Raises `KeyError` for a missing array and `ValueError` for places or features out of range, and for what are no
        trees.
        """
        features, left, right = tensors["trees.features"], tensors["trees.left"], tensors["trees.right"]
        roots, count = tensors["trees.roots"], len(features)
        for places in (roots, left, right):
            if len(places) and not (int(places.min()) >= 0 and int(places.max()) < count):
                raise ValueError("a node of the trees leads nowhere")
        if count and not (int(features.min()) >= LEAF and int(features.max()) < inputs):
            raise ValueError("the trees read features that there are not")
        thresholds, values = tensors["trees.thresholds"], tensors["trees.values"]
        if not len(left) == len(right) == len(thresholds) == len(values) == count:
            raise ValueError("the columns of the trees are of unlike lengths")
        return cls(roots, features, thresholds, left, right, values)


class _Builder:
    def __init__(self, weight: float) -> None:
        self.weight = weight
        self.roots: list[int] = []
        self.features: list[int] = []
        self.thresholds: list[float] = []
        self.left: list[int] = []
        self.right: list[int] = []
        self.values: list[float] = []

    def add(self, root: Mapping[str, Any]) -> None:
        """A tree of nested dicts; walked with a stack, since a tree may be deeper than Python recurses."""
        self.roots.append(self._node(root))
        waiting = [(root, self.roots[-1])]
        while waiting:
            node, place = waiting.pop()
            for child, links in self._children(node):
                links[place] = self._node(child)
                waiting.append((child, links[place]))

    def _children(self, node: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], list[int]]]:
        if "split_feature" in node:
            yield node["left_child"], self.left
            yield node["right_child"], self.right

    def _node(self, node: Mapping[str, Any]) -> int:
        place = len(self.features)
        inner = "split_feature" in node
        if inner and (node["decision_type"] != "<=" or node["missing_type"] == "Zero"):
            raise ValueError(f"a tree splits by {node['decision_type']}, missing {node['missing_type']}")
        self.features.append(int(node["split_feature"]) if inner else LEAF)
        self.thresholds.append(float(node["threshold"]) if inner else 0.0)
        self.left.append(place)
        self.right.append(place)
        self.values.append(0.0 if inner else self.weight * float(node["leaf_value"]))
        return place
