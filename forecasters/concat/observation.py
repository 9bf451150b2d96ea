"""What ConCat reads of a cascade: the events of its sequence, and the side features of the rolling model."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from graph import CascadeView

Floats = NDArray[np.float64]

PARTS: Final = 10
"""Equal parts of the age whose counts are side features, as in the ridge baseline."""
RECENT_SECONDS: Final = (60.0, 300.0, 900.0, 3600.0, 14_400.0)
DAY_SECONDS: Final = 86_400.0
OLDEST_SECONDS: Final = 1e10
"""Three centuries: keeps the features of a view of everything (age infinite) finite."""
LARGEST_LOG: Final = 30.0
"""Bound on any log2 feature: a thousand million reshares, thirty thousand years in minutes."""


def chosen_events(nodes: int, event_cap: int, recent_events: int) -> NDArray[np.int64]:
    """Indices of the events a sequence keeps: the earliest, and of a longer cascade the latest ``recent_events``."""
    if nodes <= event_cap:
        return np.arange(nodes)
    return np.concatenate([np.arange(event_cap - recent_events), np.arange(nodes - recent_events, nodes)])


def sequence(view: CascadeView, event_cap: int, recent_events: int) -> dict[str, NDArray[Any]]:
    """ages (n,) in seconds, parents (n,) and users (n,) of the chosen events, n <= event_cap.

    A parent that was not chosen gives way to its nearest chosen ancestor; the root is always chosen.
    """
    chosen = chosen_events(len(view.ages), event_cap, recent_events)
    parents = view.parents[chosen].astype(np.int64)
    place = np.full(len(view.ages), -1)
    place[chosen] = np.arange(len(chosen))
    while (lost := (parents >= 0) & (place[parents] < 0)).any():
        parents[lost] = view.parents[parents[lost]]
    return {
        "ages": view.ages[chosen],
        "parents": np.where(parents < 0, -1, place[parents]).astype(np.int32),
        "users": view.users[chosen],
    }


def _log(value: Any) -> Any:
    return np.minimum(np.log2(1.0 + np.maximum(value, 0.0)), LARGEST_LOG)


def side_features(view: CascadeView, horizon_seconds: float) -> Floats:
    """What the rolling model knows beside the sequence, (26,), finite for any view.

    log2 counts in ten equal parts of the age, in the last minutes and hours, and in all; log2 of age, remaining time
    and silence in minutes; depth, users, followers of the root and of the resharers; the hour of the day as a circle.
    """
    age = min(view.age_seconds, OLDEST_SECONDS)
    reshares = view.reshare_ages
    parts = np.diff(np.searchsorted(reshares, age * np.arange(1, PARTS) / PARTS), prepend=0, append=len(reshares))
    recent = len(reshares) - np.searchsorted(reshares, age - np.array(RECENT_SECONDS), side="right")
    silence = age - (reshares[-1] if len(reshares) else 0.0)
    known = view.followers[1:][np.isfinite(view.followers[1:])].astype(np.float64)
    root = float(view.followers[0]) if np.isfinite(view.followers[0]) else math.nan
    hour = 2.0 * math.pi * math.fmod(view.root_time + age, DAY_SECONDS) / DAY_SECONDS
    return np.concatenate(
        [
            _log(parts),
            _log(recent),
            [
                _log(view.size),
                _log(age / 60.0),
                _log(max(horizon_seconds - age, 0.0) / 60.0),
                _log(silence / 60.0),
                _log(float(view.depths.max())),
                _log(float(len(np.unique(view.users)))),
                0.0 if math.isnan(root) else _log(root),
                float(math.isnan(root)),
                _log(float(known.sum())),
                math.sin(hour),
                math.cos(hour),
            ],
        ]
    )


SIDE_SIZE: Final = PARTS + len(RECENT_SECONDS) + 11
