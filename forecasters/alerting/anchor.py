"""How much the plain count has a say beside the learned score.

Where a stream changes, what was learned of its people and hours grows stale, and the count does not. How much of it is
good for a platform, its own newest training posts say.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forecasters.alerting.figures import average_precision

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

WEIGHTS: Final = (0.0, 0.25, 0.5, 1.0)
"""Of the log count beside the score, in standard deviations of both."""


def count_slope(scores: Floats, log_counts: Floats, tops: Sequence[Flags]) -> float:
    """What to multiply the log count with, before it is added to the score.

    ``scores`` and ``log_counts`` (n, K) are of n posts the score was not fitted to, at K ages each; ``tops`` (n,) are
    those of each top share. The weight with the highest mean average precision, relative to that of the score alone,
    is taken; the smallest of equals.
    """
    scale = float(scores.std() / max(log_counts.std(), 1e-9))
    gains = [np.mean([_gain(scores, log_counts, weight * scale, top) for top in tops]) for weight in WEIGHTS]
    return WEIGHTS[int(np.argmax(gains))] * scale


def _gain(scores: Floats, log_counts: Floats, slope: float, top: Flags) -> float:
    """The mean over the ages of the average precision with the count, relative to that without."""
    return float(
        np.mean(
            [
                average_precision(score + slope * log_count, top) / average_precision(score, top)
                for score, log_count in zip(scores.T, log_counts.T, strict=True)
            ]
        )
    )
