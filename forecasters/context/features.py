"""The context of a cascade: what a forecaster may know of it that is no single event.

Twenty-six numbers. Larger sets (82 features of time, shape and audience; finer count curves; the users' history in
other cascades) were tried and forecast unseen cascades no better: with some thousand cascades each further feature
also tells them apart.
"""

from __future__ import annotations

import itertools
import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forecasters.logarithms import OLDEST_SECONDS, bounded_log2
from forecasters.view_memo import once_per_view
from graph import CascadeView
from graph.features import distinct

Floats = NDArray[np.float64]

PARTS: Final = 10
"""Equal parts of the age whose counts are features, as in the ridge baseline."""
RECENT_SECONDS: Final = (60.0, 300.0, 900.0, 3600.0, 14_400.0)
DAY_SECONDS: Final = 86_400.0
CONTEXT_SIZE: Final = PARTS + len(RECENT_SECONDS) + 11
PAYLOAD_SIZE: Final = 3


_PART_ENDS: Final = np.arange(1, PARTS)
_RECENT: Final = np.array(RECENT_SECONDS)


@once_per_view
def distinct_users(view: CascadeView) -> int:
    """How many users the view shows; all the unknown ones count as one."""
    return distinct(view.users)


@once_per_view
def context_features(view: CascadeView, horizon_seconds: float) -> Floats:
    """The context of a view, (CONTEXT_SIZE,), finite for any view; read-only, computed once for each view.

    log2 counts in ten equal parts of the age, in the last minutes and hours, and in all; log2 of age, remaining time
    and silence in minutes; depth, users, followers of the root and of the resharers; the hour of the day as a circle.
    """
    age = min(view.age_seconds, OLDEST_SECONDS)
    reshares = view.reshare_ages
    kept = len(reshares)
    by = [0, *reshares.searchsorted(age * _PART_ENDS / PARTS).tolist(), kept]
    before = reshares.searchsorted(age - _RECENT, side="right").tolist()
    silence = age - (float(reshares[-1]) if kept else 0.0)
    followers = view.followers
    finite = np.isfinite(followers)
    known = followers[1:][finite[1:]].astype(np.float64)
    root = float(followers[0]) if finite[0] else math.nan
    hour = 2.0 * math.pi * math.fmod(view.root_time + age, DAY_SECONDS) / DAY_SECONDS
    logs = bounded_log2(
        np.array(
            [
                *(later - earlier for earlier, later in itertools.pairwise(by)),
                *(kept - earlier for earlier in before),
                kept + view.binned,
                age / 60.0,
                max(horizon_seconds - age, 0.0) / 60.0,
                silence / 60.0,
                view.depths.max(),
                distinct_users(view),
                0.0 if math.isnan(root) else root,
                np.add.reduce(known),
            ]
        )
    )
    return np.concatenate([logs[:-1], [float(math.isnan(root))], logs[-1:], [math.sin(hour), math.cos(hour)]])


@once_per_view
def payload_features(view: CascadeView) -> Floats:
    """What the events of a platform tell at all, (PAYLOAD_SIZE,): parts from 0 to 1.

    Of the reshares those with known followers, whether the author is known to be verified or not, and different users
    by event.
    """
    return np.array(
        [
            np.isfinite(view.followers[1:]).sum() / max(len(view) - 1, 1),
            float(view.root_verified is not None),
            distinct_users(view) / max(len(view), 1),
        ]
    )
