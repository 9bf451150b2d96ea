"""The context of a cascade: what a forecaster may know of it that is no single event.

Twenty-six numbers. Larger sets (82 features of time, shape and audience; finer count curves; the users' history in
other cascades) were tried and forecast unseen cascades no better: with some thousand cascades each further feature
also tells them apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from forecasters.view_memo import once_per_view
from graph import CascadeView
from graph.features import distinct

Floats = NDArray[np.float64]

PARTS: Final = 10
"""Equal parts of the age whose counts are features, as in the ridge baseline."""
RECENT_SECONDS: Final = (60.0, 300.0, 900.0, 3600.0, 14_400.0)
DAY_SECONDS: Final = 86_400.0
OLDEST_SECONDS: Final = 1e10
"""Three centuries: keeps the features of a view of everything (age infinite) finite."""
LARGEST_LOG: Final = 30.0
"""Bound on any log2 feature: a thousand million reshares, thirty thousand years in minutes."""
_PLACES: Final = np.arange(1, PARTS)
_RECENT: Final = np.array(RECENT_SECONDS)
CONTEXT_SIZE: Final = PARTS + len(RECENT_SECONDS) + 11


def _log(value: Any) -> Any:
    return np.minimum(np.log2(1.0 + np.maximum(value, 0.0)), LARGEST_LOG)


@once_per_view
def context_features(view: CascadeView, horizon_seconds: float) -> Floats:
    """The context of a view, (CONTEXT_SIZE,), finite for any view; read-only, computed once for each view.

    log2 counts in ten equal parts of the age, in the last minutes and hours, and in all; log2 of age, remaining time
    and silence in minutes; depth, users, followers of the root and of the resharers; the hour of the day as a circle.
    """
    age = min(view.age_seconds, OLDEST_SECONDS)
    reshares = view.reshare_ages
    upto = np.searchsorted(reshares, age * _PLACES / PARTS)
    parts = np.diff(np.concatenate(([0], upto, [len(reshares)])))
    recent = len(reshares) - np.searchsorted(reshares, age - _RECENT, side="right")
    silence = age - (reshares[-1] if len(reshares) else 0.0)
    others = view.followers[1:]
    known = others[np.isfinite(others)].astype(np.float64)
    root = float(view.followers[0]) if np.isfinite(view.followers[0]) else math.nan
    hour = 2.0 * math.pi * math.fmod(view.root_time + age, DAY_SECONDS) / DAY_SECONDS
    counted = [
        view.size,
        age / 60.0,
        max(horizon_seconds - age, 0.0) / 60.0,
        silence / 60.0,
        float(view.depths.max()),
        float(distinct(view.users)),
        0.0 if math.isnan(root) else root,
    ]
    logs = _log(np.concatenate((parts, recent, counted, [float(known.sum())])))  # log2(1 + 0) is 0
    return np.concatenate((logs[:-1], [float(math.isnan(root))], logs[-1:], [math.sin(hour), math.cos(hour)]))


def context_batch(features: Sequence[Floats]) -> torch.Tensor:
    """What `ContextNet` reads, (B, CONTEXT_SIZE), single precision, of the features of B >= 1 cases."""
    return torch.from_numpy(np.stack(features).astype(np.float32))
