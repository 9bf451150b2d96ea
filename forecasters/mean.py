"""The mean of log labels: what every forecaster must beat."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from forecasters.interval_buckets import AGE_EDGES
from forecasters.regression import LogRegression
from graph import CascadeView

Floats = NDArray[np.float64]


class MeanForecaster(LogRegression):
    """Forecasts 2^m - 1, m the mean of log2(1 + increment) over the training cases of about the same age.

    The best constant under MSLE. An age at which nothing was trained takes the mean over all ages.
    """

    name: ClassVar[str] = "mean"
    means: Floats = np.zeros(len(AGE_EDGES) + 1)

    def features(self, view: CascadeView, horizon_seconds: float) -> Floats:
        return np.array([np.digitize(max(view.age_seconds, 0.0), AGE_EDGES)], dtype=np.float64)

    def fit_log(self, X: Floats, y: Floats, X_validation: Floats, y_validation: Floats, seed: int) -> None:
        buckets = X[:, 0].astype(np.int64)
        self.means = np.array(
            [y[buckets == b].mean() if np.any(buckets == b) else y.mean() for b in range(len(AGE_EDGES) + 1)]
        )

    def predict_log(self, X: Floats) -> Floats:
        return self.means[X[:, 0].astype(np.int64)]

    def save_fit(self, directory: Path) -> dict[str, Any]:
        return {"mean_log2": self.means.tolist()}

    def load_fit(self, directory: Path, fit: dict[str, Any]) -> None:
        self.means = np.array(fit["mean_log2"], dtype=np.float64)
        if self.means.shape != (len(AGE_EDGES) + 1,):
            raise ValueError(f"mean_log2 must hold {len(AGE_EDGES) + 1} numbers")
