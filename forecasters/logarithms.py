"""Counts and times as models read them: in logarithms, finite for any view."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

OLDEST_SECONDS: Final = 1e10
"""Three centuries: keeps what follows from a view of everything (age infinite) finite, and its steps few."""
LARGEST_LOG: Final = 30.0
"""Bound on any log2 feature: a thousand million reshares, thirty thousand years in minutes."""


def bounded_log2(values: Any) -> NDArray[np.float64]:
    """log2(1 + x) of any array or sequence of numbers, within [0, LARGEST_LOG]; what is below 0 counts as 0."""
    return np.asarray(np.minimum(np.log2(1.0 + np.maximum(values, 0.0)), LARGEST_LOG))
