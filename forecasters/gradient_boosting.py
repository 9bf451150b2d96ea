"""Gradient-boosted trees on the structural and temporal features of the cascade (LightGBM, Ke et al.
2017)."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import xxhash
from numpy.typing import NDArray

from forecasters.errors import ModelStoreError
from forecasters.regression import LogRegression
from graph import CascadeView
from graph.errors import UserError
from graph.features import FEATURE_NAMES, features

Floats = NDArray[np.float64]

MODEL_FILE: Final = "model.lightgbm.txt"
MAX_ROUNDS: Final = 2000
PATIENCE: Final = 50
ROUNDS_WITHOUT_VALIDATION: Final = 200


def lightgbm_module() -> Any:
    """The library; raises `UserError` that names the extra where it is not installed."""
    try:
        return import_module("lightgbm")
    except ImportError as error:
        raise UserError("lightgbm is not installed; run: pip install 'cascadecast[train]'") from error


def _digest(text: str) -> str:
    return xxhash.xxh3_128_hexdigest(text.encode())


class GradientBoostingForecaster(LogRegression):
    """Trees on `graph.features`; the number of trees is where the validation error was least.

    Needs the ``train`` extra. The model is LightGBM's own text format, which holds numbers only.
    """

    name: ClassVar[str] = "lightgbm"
    booster: Any

    def features(self, view: CascadeView, horizon_seconds: float) -> Floats:
        return np.asarray(features(view, horizon_seconds), dtype=np.float64)

    def fit_log(self, X: Floats, y: Floats, X_validation: Floats, y_validation: Floats, seed: int) -> None:
        lightgbm = lightgbm_module()
        parameters = {
            "objective": "regression",
            "learning_rate": 0.03,
            "num_leaves": 15,  # a few thousand cases: small trees, strongly averaged
            "min_data_in_leaf": 20,
            "feature_fraction": 0.5,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "lambda_l2": 1.0,
            "seed": seed,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": 1,  # sums of several threads differ in their last bits
            "verbosity": -1,
        }
        train = lightgbm.Dataset(X, y, feature_name=list(FEATURE_NAMES), free_raw_data=False)
        if not len(y_validation):
            self.booster = lightgbm.train(parameters, train, num_boost_round=ROUNDS_WITHOUT_VALIDATION)
            return
        self.booster = lightgbm.train(
            parameters,
            train,
            num_boost_round=MAX_ROUNDS,
            valid_sets=[lightgbm.Dataset(X_validation, y_validation, reference=train)],
            callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
        )

    def predict_log(self, X: Floats) -> Floats:
        return np.asarray(self.booster.predict(X, num_threads=1), dtype=np.float64)

    def save_fit(self, directory: Path) -> dict[str, Any]:
        text = self.booster.model_to_string(num_iteration=self.booster.best_iteration)
        (directory / MODEL_FILE).write_text(text, encoding="utf-8")
        return {"features": list(FEATURE_NAMES), "text_xxh3_128": _digest(text)}

    def load_fit(self, directory: Path, fit: dict[str, Any]) -> None:
        path = directory / MODEL_FILE
        if fit["features"] != list(FEATURE_NAMES):
            raise ModelStoreError(f"{path}: was trained on other features than this version computes; train it again")
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ModelStoreError(f"{path}: cannot be read ({error}); train again or restore the file") from error
        # LightGBM ends the whole process on a text that was cut short, so it may not see one.
        if _digest(text) != fit["text_xxh3_128"]:
            raise ModelStoreError(f"{path}: damaged (its checksum differs); train again or restore the file")
        self.booster = lightgbm_module().Booster(model_str=text)
