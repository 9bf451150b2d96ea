"""The past of a cascade in a fixed number of bins: what the self-exciting models read, whatever its size.

Bins are cut relative to the age, finely after the post and again just before now, because the start tells the
reach of the root and the end tells the present rate. A cascade of 100,000 reshares costs as little after this
as one of ten.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from forecasters.view_memo import once_per_view
from graph import CascadeView

Floats = NDArray[np.float64]

HISTORY_EDGES: Final[Floats] = np.concatenate(
    [[0.0], 2.0 ** np.arange(-9.0, -0.9, 0.5), 1.0 - 2.0 ** np.arange(-1.5, -6.1, -0.5), [1.0]]
)
"""Edges as shares of the age: half octaves from 1/512 up to 1/2, then half octaves closing in on now."""

MIN_AGE_SECONDS: Final = 1.0
"""A post of age 0 has no past to scale by."""


def reach(followers: Floats, typical: float, exponent: float) -> Floats:
    """How much more influence than typical each author has: (followers / typical)^exponent, 1 where unknown.

    Within a factor of 100 of typical: follower counts can be bought, and one account must not be the whole
    forecast.
    """
    relative = (np.maximum(followers, 1.0) / typical) ** exponent
    return np.where(np.isnan(followers), 1.0, np.clip(relative, 0.01, 100.0))


@once_per_view
def reshares_of(view: CascadeView) -> tuple[Floats, Floats, Floats]:
    """Ages (n,), ascending, follower counts (n,), NaN where unknown, and numbers (n,) of a view's reposts and quotes.

    A number is 1, but for the minutes in which a cascade that outgrew its memory only counted them.
    """
    kept = view.reshares
    ages, followers, numbers = view.ages[kept], view.followers[kept].astype(np.float64), np.ones(kept.sum())
    if not view.binned:
        return ages, followers, numbers
    ages = np.concatenate([ages, view.binned_ages])
    order = np.argsort(ages, kind="stable")
    followers = np.concatenate([followers, np.full(len(view.binned_ages), np.nan)])
    return ages[order], followers[order], np.concatenate([numbers, view.binned_counts])[order]


def binned(
    ages: Floats, weights: Floats, age_seconds: float, numbers: Floats | None = None
) -> tuple[Floats, Floats, Floats]:
    """Counts, summed weights and mean ages in each of the bins, each (K,).

    ``ages`` ascend; ``numbers`` say how many reshares each stands for, by default one. An empty bin has the age of its
    middle. Events at exactly now fall into the last bin.
    """
    edges = HISTORY_EDGES * age_seconds
    cuts = np.searchsorted(ages, edges[1:-1], side="left")
    bounds = np.concatenate([[0], cuts, [len(ages)]])
    summed = np.concatenate([[0.0], np.cumsum(weights)])
    numbers = np.ones(len(ages)) if numbers is None else numbers
    moments = np.concatenate([[0.0], np.cumsum(ages * numbers)])
    counts = np.diff(np.concatenate([[0.0], np.cumsum(numbers)])[bounds])
    middle = (edges[:-1] + edges[1:]) / 2.0
    mean_ages = np.where(counts > 0, np.diff(moments[bounds]) / np.maximum(counts, 1.0), middle)
    return counts, np.maximum(np.diff(summed[bounds]), 0.0), np.clip(mean_ages, 0.0, age_seconds)
