"""A ridge regression on standardised features: what goes on growing where trees have seen no example."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PENALTY: Final = 0.01
"""Of each squared weight beside a mean squared error."""
MOST_DEVIATIONS: Final = 4.0
"""A feature further out than any training post counts as this far, so that one odd number decides nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class LinearScore:
    """The weights of F features."""

    means: Floats
    deviations: Floats
    weights: Floats
    intercept: float

    @classmethod
    def fit(cls, X: Floats, y: Floats) -> Self:
        """Fit ``y`` (n,) to ``X`` (n, F)."""
        means, deviations = X.mean(axis=0), X.std(axis=0) + 1e-6
        Z = (X - means) / deviations
        normal = Z.T @ Z / len(Z) + PENALTY * np.eye(Z.shape[1])
        weights = np.linalg.solve(normal, Z.T @ (y - y.mean()) / len(Z))
        return cls(means, deviations, weights, float(y.mean()))

    def predict(self, X: Floats) -> Floats:
        """The scores (B,) of rows (B, F), each row on its own."""
        Z = np.clip((X - self.means) / self.deviations, -MOST_DEVIATIONS, MOST_DEVIATIONS)
        # Summed row by row in one order, so that the rest of the batch changes no bit.
        return np.asarray((Z * self.weights).sum(axis=1) + self.intercept)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """What model.safetensors keeps."""
        return {
            "linear.means": self.means,
            "linear.deviations": self.deviations,
            "linear.weights": self.weights,
            "linear.intercept": np.array([self.intercept]),
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]], inputs: int) -> Self:
        """Read back `tensors`; raises `KeyError` for a missing one, `ValueError` unless they are for ``inputs``."""
        means, deviations, weights = (tensors[f"linear.{name}"] for name in ("means", "deviations", "weights"))
        if not means.shape == deviations.shape == weights.shape == (inputs,):
            raise ValueError("the weights are not for these features")
        return cls(means, deviations, weights, float(tensors["linear.intercept"][0]))
