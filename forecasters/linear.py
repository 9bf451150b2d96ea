"""Least squares with a ridge penalty on standardised features, in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from forecasters.errors import ModelStoreError
from forecasters.model_files import TENSORS_FILE, read_tensors, write_tensors

Floats = NDArray[np.float64]

CONSTANT_SPREAD: Final = 1e-4
"""A feature whose standard deviation is below this was the same in all training cases (one observation time
makes age and remaining time so); its weight is 0, else the noise of its last bits would be blown up."""


@dataclass(frozen=True, slots=True)
class Linear:
    """y = intercept + (x - centre) . weights; ``centre`` and ``weights`` are (F,)."""

    centre: Floats
    weights: Floats
    intercept: float

    @classmethod
    def fit(cls, X: Floats, y: Floats, penalty: float) -> Self:
        """Minimise |y - Xw|^2 + penalty * n * |w|^2 over standardised features X (n, F); the intercept is
        free."""
        centre, spread = X.mean(axis=0), X.std(axis=0)
        varies = spread > CONSTANT_SPREAD
        Z = np.where(varies, (X - centre) / np.where(varies, spread, 1.0), 0.0)
        intercept = float(y.mean())
        # The floor keeps the normal equations regular when features are collinear.
        gram = Z.T @ Z + max(penalty, 1e-9) * len(y) * np.eye(X.shape[1])
        weights = np.linalg.solve(gram, Z.T @ (y - intercept))
        return cls(centre, np.where(varies, weights / np.where(varies, spread, 1.0), 0.0), intercept)

    def predict(self, X: Floats) -> Floats:
        """y (B,) of X (B, F); summed row by row, so a row's answer does not depend on the batch."""
        summed: Floats = np.sum((X - self.centre) * self.weights, axis=1)
        return self.intercept + summed

    def save(self, directory: Path) -> None:
        """Write model.safetensors."""
        write_tensors(
            directory,
            {"centre": self.centre, "weights": self.weights, "intercept": np.array([self.intercept])},
        )

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Read back `save`; raises `ModelStoreError` naming the file when it is damaged."""
        tensors = read_tensors(directory)
        if set(tensors) != {"centre", "weights", "intercept"} or tensors["centre"].shape != tensors["weights"].shape:
            raise ModelStoreError(f"{directory / TENSORS_FILE}: not a linear model; train again or restore the file")
        return cls(tensors["centre"], tensors["weights"], float(tensors["intercept"][0]))
