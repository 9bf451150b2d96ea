"""The linear forecast that the rolling ConCat starts from: ridge on its side features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from forecasters.linear import Linear

Floats = NDArray[np.float64]

PENALTY: Final = 1e-2
"""Relative to the number of cases; within 0.3 % of the best of a grid on the validation part at every age tried."""
LARGEST_DEVIATION: Final = 6.0
"""Standard deviations: what lies beyond was never seen in training, and the network should not extrapolate to it."""


@dataclass(frozen=True, slots=True)
class SideModel:
    """The linear forecast of log2(1 + increment), and the scaling of the features for the network; spread is (F,)."""

    linear: Linear
    spread: Floats

    @classmethod
    def fit(cls, X: Floats, growth: Floats) -> Self:
        """Fit to features (n, F) and log2(1 + increment) (n,)."""
        return cls(Linear.fit(X, growth, PENALTY), np.maximum(X.std(axis=0), 1e-3))

    def standardised(self, X: Floats) -> Floats:
        """Features (B, F) in standard deviations from their training mean, clipped."""
        return np.clip((X - self.linear.centre) / self.spread, -LARGEST_DEVIATION, LARGEST_DEVIATION)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """What model.safetensors keeps of it."""
        linear = self.linear
        return {
            "side.centre": linear.centre,
            "side.weights": linear.weights,
            "side.intercept": np.array([linear.intercept]),
            "side.spread": self.spread,
        }

    @classmethod
    def from_tensors(cls, tensors: dict[str, NDArray[Any]]) -> Self:
        """Read back `tensors`; raises `KeyError` for a missing one."""
        intercept = float(tensors["side.intercept"][0])
        return cls(Linear(tensors["side.centre"], tensors["side.weights"], intercept), tensors["side.spread"])
