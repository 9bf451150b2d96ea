"""Scores of posts of one span of ages: boosted trees, and a ridge regression that half of them correct."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from forecasters.alerting.linear_score import LinearScore
from forecasters.gradient_boosting import lightgbm_module
from forecasters.trees import TreeArrays

Floats = NDArray[np.float64]

ROUNDS: Final = 200
PARAMETERS: Final[dict[str, Any]] = {
    "objective": "regression",
    "learning_rate": 0.04,
    "num_leaves": 8,  # larger trees ranked later posts worse
    "max_depth": 4,  # so many steps take any row to its leaf
    "min_data_in_leaf": 80,  # many cuts of one post are alike: a leaf must hold several posts
    "feature_fraction": 0.4,
    "bagging_fraction": 0.6,
    "bagging_freq": 1,
    "lambda_l2": 10.0,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,  # sums of several threads differ in their last bits
    "verbosity": -1,
}


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """The mean of two scores: trees from the mean on, and a ridge regression with the trees that correct it.

    The regression goes on rising where no training post was; the trees find what is not linear.
    """

    trees: TreeArrays  # of both scores, weighed a half each
    linear: LinearScore

    @classmethod
    def fit(cls, X: Floats, y: Floats, seed: int) -> Self:
        """Fit ``y`` (n,) to ``X`` (n, F); needs LightGBM, and raises `UserError` that names the extra without it."""
        lightgbm = lightgbm_module()
        linear = LinearScore.fit(X, y)
        dumps = []
        for target in (y, y - linear.predict(X)):
            data = lightgbm.Dataset(X, target)
            dumps.append(lightgbm.train(PARAMETERS | {"seed": seed}, data, num_boost_round=ROUNDS).dump_model())
        return cls(TreeArrays.from_lightgbm(dumps), linear)

    def predict(self, X: Floats) -> Floats:
        """The scores (B,) of rows (B, F), each row on its own."""
        return np.asarray(self.trees.predict(X) + 0.5 * self.linear.predict(X))

    def tensors(self) -> dict[str, NDArray[Any]]:
        """What model.safetensors keeps."""
        return {**self.trees.tensors(), **self.linear.tensors()}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]], inputs: int) -> Self:
        """Read back `tensors`; raises `KeyError` or `ValueError` unless they are for rows of ``inputs`` features."""
        return cls(TreeArrays.from_tensors(tensors, inputs), LinearScore.from_tensors(tensors, inputs))
