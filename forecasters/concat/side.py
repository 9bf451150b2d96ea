"""The scale of the rolling model's side features, so that a network can read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LARGEST_DEVIATION: Final = 6.0
"""Standard deviations: what lies beyond was never seen in training, and the network should not extrapolate to it."""
SMALLEST_SPREAD: Final = 1e-3
"""A feature that never varied in training (the horizon's part of one observation time) must not blow up later."""


@dataclass(frozen=True, slots=True)
class SideScale:
    """Mean and standard deviation of each feature over the training cases, (F,)."""

    centre: Floats
    spread: Floats

    @classmethod
    def fit(cls, X: Floats) -> Self:
        """Of features (n, F)."""
        return cls(X.mean(axis=0), np.maximum(X.std(axis=0), SMALLEST_SPREAD))

    def standardised(self, X: Floats) -> Floats:
        """Features (B, F) in standard deviations from their training mean, clipped."""
        return np.clip((X - self.centre) / self.spread, -LARGEST_DEVIATION, LARGEST_DEVIATION)

    def tensors(self) -> dict[str, NDArray[Any]]:
        """What model.safetensors keeps of it."""
        return {"side.centre": self.centre, "side.spread": self.spread}

    @classmethod
    def from_tensors(cls, tensors: dict[str, NDArray[Any]]) -> Self:
        """Read back `tensors`; raises `KeyError` for a missing one."""
        return cls(tensors["side.centre"], tensors["side.spread"])
