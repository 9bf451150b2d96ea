"""What people alert by today: how many reposts a post has, or how many it gained in the last minutes."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from forecasters.alerting.figures import average_precision
from forecasters.alerting.growth_curves import GrowthCurves, Ints
from forecasters.alerting.levels import reaches_top

Floats = NDArray[np.float64]

WINDOWS_SECONDS: Final = (60.0, 120.0, 300.0, 600.0, 900.0, 1200.0, 1800.0, 2700.0, 3600.0)
"""Windows a rate may be taken over; the best of them on the training part is chosen, which is generous: whoever writes
such a rule by hand sees no average precision."""


def counts(curves: GrowthCurves, posts: Ints, ages: Floats) -> Floats:
    """Reposts so far, (B,): a rank by the current count and a threshold on it order posts of one age alike."""
    return curves.counts(posts, ages).astype(np.float64)


def rates(curves: GrowthCurves, posts: Ints, ages: Floats, window_seconds: float) -> Floats:
    """Reposts a minute, (B,), in the window that ends at each age; of a younger post, in its whole life."""
    gained = curves.counts(posts, ages) - curves.counts(posts, ages - window_seconds)
    return np.asarray(60.0 * gained / window_seconds)


def best_window(curves: GrowthCurves, posts: Ints, age_seconds: float, share: float) -> float:
    """The window (s), no longer than the age, whose rate ranks the top ``share`` of ``posts`` best."""
    windows = [window for window in WINDOWS_SECONDS if window <= age_seconds] or [age_seconds]
    ages, top = np.full(len(posts), age_seconds), reaches_top(curves.finals()[posts], share)
    return max(windows, key=lambda window: average_precision(rates(curves, posts, ages, window), top))


def trailing_counts(curves: GrowthCurves, places: Ints, window_seconds: float) -> Ints:
    """Reposts (B,) of a post in the window that ends with, and includes, the change at each place."""
    posts = curves.posts[places]
    before = curves.places(posts, np.nextafter(curves.ages[places] - window_seconds, np.inf))
    return curves.sizes[places + 1] - curves.sizes[np.maximum(before, curves.starts[posts])]
