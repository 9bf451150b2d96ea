"""Where in a post's life scores are gathered: buckets for counting, knots between which weights change smoothly."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BUCKET_EDGES: Final = (300.0, 900.0, 3600.0, 10_800.0, 43_200.0)
"""5 and 15 minutes, 1, 3 and 12 hours: scores, coverage and online offsets are kept for each age between them."""

BUCKETS: Final = len(BUCKET_EDGES) + 1

BUCKET_NAMES: Final = ("0m-5m", "5m-15m", "15m-1h", "1h-3h", "3h-12h", "12h+")
"""Labels of metrics and tables."""

KNOTS: Final = (300.0, 1200.0, 3600.0, 14_400.0, 43_200.0)
"""Ages (s) at which a blend has weights of its own; between them they change linearly in log age, beyond them not at
all, so that no forecast jumps when a post passes an age."""


def bucket_of(age_seconds: Floats) -> NDArray[np.int64]:
    """The bucket of each age, (n,)."""
    return np.digitize(age_seconds, BUCKET_EDGES)


def knot_shares(age_seconds: Floats) -> Floats:
    """How much each knot counts at each age: (n, len(KNOTS)), rows sum to 1 with at most two entries above 0.

    >>> knot_shares(np.array([10.0, 600.0, 1e6])).tolist()
    [[1.0, 0.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 1.0]]
    """
    knots = np.log2(KNOTS)
    place = np.interp(np.log2(np.maximum(age_seconds, 1.0)), knots, np.arange(len(KNOTS)))  # (n,) in knots
    return np.maximum(0.0, 1.0 - np.abs(place[:, None] - np.arange(len(KNOTS))))
