"""Boosted trees for any age: the expert that reads the shape of the tree and all that can be counted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from forecasters.base import Case
from forecasters.context import CONTEXT_SIZE, ContextConfig, context_features
from forecasters.errors import ModelStoreError
from forecasters.gradient_boosting import lightgbm_module
from forecasters.model_files import TENSORS_FILE, read_tensors, write_tensors
from forecasters.regression import LogRegression
from forecasters.trees.arrays import TreeArrays
from forecasters.view_memo import once_per_view
from graph import CascadeView
from graph.features import FEATURE_NAMES, features

Floats = NDArray[np.float64]

MAX_ROUNDS: Final = 800
PATIENCE: Final = 100
"""Rounds without a gain before training ends: by labels of later ages the validation error falls slowly and long, and
40 ended in a bump of chance."""
ROUNDS_WITHOUT_VALIDATION: Final = 200
BAGS: Final = 3
"""Boosters of different seeds whose forecasts are averaged."""
PARAMETERS: Final[dict[str, Any]] = {
    "objective": "regression",
    "learning_rate": 0.05,
    "num_leaves": 31,
    "min_data_in_leaf": 100,  # many cuts of one cascade are alike: a leaf must hold several cascades
    "feature_fraction": 0.5,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,  # sums of several threads differ in their last bits
    "verbosity": -1,
}


@once_per_view
def tree_features(view: CascadeView, horizon_seconds: float) -> Floats:
    """What the trees read of a view: `graph.features` and the context, finite."""
    own = np.asarray(features(view, horizon_seconds), dtype=np.float64)
    return np.concatenate([own, context_features(view, horizon_seconds)])


class TreesForecaster(LogRegression):
    """Boosted trees on time, shape, audience and context features, trained on random ages and horizons of each cascade.

    Training needs the ``train`` extra (LightGBM, Ke et al. 2017); forecasts need numpy only.
    """

    name: ClassVar[str] = "trees"
    trees: TreeArrays

    def features(self, view: CascadeView, horizon_seconds: float) -> Floats:
        return tree_features(view, horizon_seconds)

    def fit(self, train: Sequence[Case], validation: Sequence[Case], *, seed: int = 0) -> Self:
        # imported here, since who only forecasts with trees needs no torch
        from forecasters.context.fitting import taught_cases

        # as the context network learns: trees gain most from labels with less chance in them
        taught = taught_cases(train, ContextConfig(), seed=seed)
        return self.fit_labelled(taught.cases, taught.labels, validation, seed=seed)

    def fit_log(self, X: Floats, y: Floats, X_validation: Floats, y_validation: Floats, seed: int) -> None:
        lightgbm = lightgbm_module()
        dumps = []
        for bag in range(BAGS):
            train = lightgbm.Dataset(X, y, free_raw_data=False)
            parameters = PARAMETERS | {"seed": BAGS * seed + bag}
            if not len(y_validation):
                booster = lightgbm.train(parameters, train, num_boost_round=ROUNDS_WITHOUT_VALIDATION)
            else:
                booster = lightgbm.train(
                    parameters,
                    train,
                    num_boost_round=MAX_ROUNDS,
                    valid_sets=[lightgbm.Dataset(X_validation, y_validation, reference=train)],
                    callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
                )
            dumps.append(booster.dump_model(num_iteration=booster.best_iteration))
        self.trees = TreeArrays.from_lightgbm(dumps)

    def predict_log(self, X: Floats) -> Floats:
        return self.trees.predict(X)

    def save_fit(self, directory: Path) -> dict[str, Any]:
        write_tensors(directory, self.trees.tensors())
        return {"features": list(FEATURE_NAMES), "trees": len(self.trees.roots)}

    def load_fit(self, directory: Path, fit: dict[str, Any]) -> None:
        path = directory / TENSORS_FILE
        if fit["features"] != list(FEATURE_NAMES):
            raise ModelStoreError(f"{path}: was trained on other features than this version computes; train it again")
        try:
            self.trees = TreeArrays.from_tensors(read_tensors(directory), len(FEATURE_NAMES) + CONTEXT_SIZE)
        except (KeyError, ValueError) as error:
            raise ModelStoreError(f"{path}: damaged ({error}); train again or restore the file") from error
