"""How far a mean error could lie elsewhere with other cascades: the bootstrap over cascades (Efron 1979).

What is drawn again is the cascade with everything that was forecast for it, under every seed and by every model (a
cluster bootstrap), so that seeds do not pass for further cascades and differences between models are paired.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RESAMPLES: Final = 2000
LEVEL: Final = 0.95
_CHUNK: Final = 200
"""Resamples drawn at once: 200 weights for each of ten thousand cascades are 16 MB."""


def resampled_means(sums: Floats, counts: Floats, *, resamples: int = RESAMPLES, seed: int = 0) -> Floats:
    """Means of M models over resampled cascades, shape (resamples, M); every column has drawn the same cascades.

    ``sums`` (M, n) are the sums of each cascade's values, ``counts`` (M, n) how many they are, at least 1. Raises
    `ValueError` for other shapes, for no cascades and for a count below 1.
    """
    if sums.ndim != 2 or sums.shape != counts.shape or not sums.size:
        raise ValueError(f"sums {sums.shape} and counts {counts.shape} must be (models, cascades), none of them empty")
    if counts.min() < 1:
        raise ValueError("every model needs a value for every cascade, or the comparison would not be paired")
    n = sums.shape[1]
    rng = np.random.default_rng(seed)
    parts = []
    for first in range(0, resamples, _CHUNK):
        times = rng.multinomial(n, np.full(n, 1.0 / n), size=min(_CHUNK, resamples - first)).astype(np.float64)
        parts.append((times @ sums.T) / (times @ counts.T))  # (chunk, M)
    return np.concatenate(parts)


def interval(values: Floats, level: float = LEVEL) -> tuple[float, float]:
    """The percentile interval of resampled values (R,)."""
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(values, [tail, 1.0 - tail])
    return float(low), float(high)
