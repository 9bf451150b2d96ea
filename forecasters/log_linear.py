"""Log-linear extrapolation of the observed count (Szabo & Huberman 2010, Communications of the ACM 53(8))."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from forecasters.linear import Linear
from forecasters.regression import LogRegression, time_features
from graph import CascadeView

Floats = NDArray[np.float64]


class LogLinearForecaster(LogRegression):
    """log2(1 + increment) = a + b log2(1 + observed), with age and remaining time added where they vary."""

    name: ClassVar[str] = "log-linear"
    linear: Linear

    def features(self, view: CascadeView, horizon_seconds: float) -> Floats:
        return np.array([np.log2(1.0 + view.size), *time_features(view, horizon_seconds)])

    def fit_log(self, X: Floats, y: Floats, X_validation: Floats, y_validation: Floats, seed: int) -> None:
        self.linear = Linear.fit(X, y, penalty=0.0)

    def predict_log(self, X: Floats) -> Floats:
        return self.linear.predict(X)

    def save_fit(self, directory: Path) -> dict[str, Any]:
        self.linear.save(directory)
        return {}

    def load_fit(self, directory: Path, fit: dict[str, Any]) -> None:
        self.linear = Linear.load(directory)
