"""Ridge regression on binned log counts: the simplest model that sees when the reshares came."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from forecasters.linear import Linear
from forecasters.regression import LogRegression, time_features
from graph import CascadeView

Floats = NDArray[np.float64]

BINS: Final = 10
PENALTIES: Final = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Relative to the number of cases; the validation part picks one."""


class RidgeForecaster(LogRegression):
    """log2(1 + increment), linear in the log counts of ten equal parts of the age, the total, age and
    remaining time."""

    name: ClassVar[str] = "ridge"
    linear: Linear
    penalty: float = 0.0

    def features(self, view: CascadeView, horizon_seconds: float) -> Floats:
        age = max(view.age_seconds, 0.0)
        edges = age * np.arange(1, BINS) / BINS
        upto = np.searchsorted(view.reshare_ages, edges) + view.binned_until(edges)
        counts = np.diff(upto, prepend=0, append=view.size)
        return np.concatenate([np.log2(1.0 + counts), [np.log2(1.0 + view.size)], time_features(view, horizon_seconds)])

    def fit_log(self, X: Floats, y: Floats, X_validation: Floats, y_validation: Floats, seed: int) -> None:
        # Without a validation part the middle penalty stands.
        fits = {penalty: Linear.fit(X, y, penalty) for penalty in PENALTIES}
        losses = {penalty: abs(np.log(penalty / PENALTIES[2])) for penalty in PENALTIES}
        if len(y_validation):
            losses = {p: float(np.mean((f.predict(X_validation) - y_validation) ** 2)) for p, f in fits.items()}
        self.penalty = min(losses, key=lambda penalty: losses[penalty])
        self.linear = fits[self.penalty]

    def predict_log(self, X: Floats) -> Floats:
        return self.linear.predict(X)

    def save_fit(self, directory: Path) -> dict[str, Any]:
        self.linear.save(directory)
        return {"penalty": self.penalty}

    def load_fit(self, directory: Path, fit: dict[str, Any]) -> None:
        self.penalty = float(fit["penalty"])
        self.linear = Linear.load(directory)
