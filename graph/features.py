"""What can be said of a cascade at any age in one vector: counts, timing, shape, audience, clock.

For ridge and boosted trees as they are, and beside the sequence for the neural forecasters. All of it follows
from the `CascadeView` (that is, from what was visible at ``as_of``) and the horizon; no number is ever NaN or
infinite. Counts are of reshares (reposts and quotes); shape is of the whole tree, replies included.
Logarithms are natural, log(1 + x).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from graph.view import CascadeView

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RECENT_SECONDS: Final = (60.0, 300.0, 900.0, 1800.0, 3600.0, 10_800.0, 21_600.0, 86_400.0)
"""Windows that end at the cut, the instant they begin at left out."""

FIRST_SECONDS: Final = (60.0, 300.0, 900.0, 1800.0, 3600.0, 10_800.0, 21_600.0)
"""Windows that begin at the root."""

FRACTIONS: Final = (0.1, 0.25, 0.5, 0.75, 0.9)
"""Parts of the age by which a cumulative count is taken."""

DEPTHS: Final = (1, 2, 3, 4)
QUANTILES: Final = (0.1, 0.5, 0.9)
DAY: Final = 86_400.0
WEEK: Final = 7 * DAY
MONDAY: Final = 4 * DAY
"""1970-01-05, the first Monday of the epoch."""

_TIMING: Final = (
    "log_reshares", "log_replies", "log_quotes", "binned_share", "log_age", "log_horizon", "age_part_of_horizon",
    *(f"log_recent_{int(s)}s" for s in RECENT_SECONDS),
    *(f"log_first_{int(s)}s" for s in FIRST_SECONDS),
    *(f"share_by_{int(100 * f)}pct_of_age" for f in FRACTIONS),
    "log_rate_per_hour", "log_recent_tenth_rate_per_hour", "acceleration", "mean_age_part", "spread_of_age_part",
    "log_first_reshare_seconds", "log_since_last_seconds",
    *(f"log_gap_q{int(100 * q)}_seconds" for q in QUANTILES),
    "log_mean_gap_seconds", "gap_variation", "log_longest_gap_seconds", "burstiness",
)  # fmt: skip

_SHAPE: Final = (
    "log_nodes", "depth", "mean_depth", "spread_of_depth",
    *(f"share_at_depth_{d}" for d in DEPTHS), "share_deeper",
    "log_widest_level", "leaf_share", "log_root_children", "root_share", "log_largest_other_hub", "other_hub_share",
    "log_parents", "mean_children_of_parents", "wiener_mean_distance", "recent_root_share", "recent_mean_depth",
)  # fmt: skip

_AUDIENCE: Final = (
    "log_users", "user_share", "log_root_followers", "root_followers_known", "root_verified", "root_verified_known",
    "log_sum_followers", "log_max_followers", "mean_log_followers", "followers_known_share",
    "reach_per_root_follower",
)  # fmt: skip

_CLOCK: Final = (
    "root_day_sin", "root_day_cos", "cut_day_sin", "cut_day_cos", "horizon_day_sin", "horizon_day_cos",
    "root_week_sin", "root_week_cos", "rootless", "withdrawn",
)  # fmt: skip

FEATURE_NAMES: Final[tuple[str, ...]] = (*_TIMING, *_SHAPE, *_AUDIENCE, *_CLOCK)
"""Names of the F numbers of `features`, in their order."""


def features(view: CascadeView, horizon_seconds: float) -> Floats:
    """The (F,) numbers of a cascade as of ``view.as_of``, for a forecast of its size at age
    ``horizon_seconds``.

    A view without a cut (``as_of`` infinite) is taken as of its last event.
    """
    last = float(view.ages[-1]) if len(view) else 0.0
    age = view.age_seconds if math.isfinite(view.age_seconds) else last
    reshared = view.reshares
    values = [
        *_timing(view, view.ages[reshared], age, horizon_seconds),
        *_shape(view, reshared, age),
        *_audience(view),
        *_clock(view, age, horizon_seconds),
    ]
    return np.array(values, dtype=np.float64)


def feature_matrix(views: Sequence[CascadeView], horizon_seconds: Sequence[float] | float) -> Floats:
    """`features` of B cascades, (B, F); one horizon for all or one each."""
    horizons = np.broadcast_to(np.asarray(horizon_seconds, dtype=np.float64), len(views))
    out = np.empty((len(views), len(FEATURE_NAMES)))
    for row, (view, horizon) in enumerate(zip(views, horizons.tolist(), strict=True)):
        out[row] = features(view, horizon)
    return out


def binned_log_counts(view: CascadeView, bins: int) -> Floats:
    """log(1 + reshares) in each of ``bins`` equal parts of the age at the cut, (bins,), the oldest first.

    Reshares beyond the kept maximum count in the part in which their minute was over.
    """
    last = float(view.ages[-1]) if len(view) else 0.0
    age = view.age_seconds if math.isfinite(view.age_seconds) else last
    edges = np.linspace(0.0, age, bins + 1)[1:-1]
    upto = np.searchsorted(view.reshare_ages, edges, side="left")
    if view.binned:
        upto = upto + view.binned_until(np.nextafter(edges, 0.0))
    counts = np.diff(np.concatenate(([0], upto, [view.size]))).astype(np.float64)
    return np.asarray(np.log1p(counts))


def _timing(view: CascadeView, ages: Floats, age: float, horizon: float) -> list[float]:
    kept, count = len(ages), len(ages) + view.binned
    kinds = np.bincount(view.kinds, minlength=4)
    starts = np.array([age - s for s in (*RECENT_SECONDS, 0.1 * age, 0.2 * age)])
    ends = np.array([*FIRST_SECONDS, *(f * age for f in FRACTIONS)])
    before, by = np.searchsorted(ages, starts, side="right"), np.searchsorted(ages, ends, side="right")
    if view.binned:
        before, by = before + view.binned_until(starts), by + view.binned_until(ends)
    recent, first = (count - before).tolist(), by.tolist()
    hours = max(age, 1.0) / 3600.0
    tenth, fifth = recent[-2], recent[-1]
    parts = ages / age if age > 0 else np.zeros(kept)
    middle, spread = _moments(parts) if kept else (0.0, 0.0)
    return [
        math.log1p(count), math.log1p(kinds[3]), math.log1p(kinds[2]), view.binned / max(count, 1),
        math.log1p(age), math.log1p(horizon), age / horizon if horizon > 0 else 1.0,
        *(math.log1p(n) for n in recent[:-2]),
        *(math.log1p(n) for n in first[: len(FIRST_SECONDS)]),
        *(n / max(count, 1) for n in first[len(FIRST_SECONDS) :]),
        math.log1p(count / hours), math.log1p(tenth / (0.1 * hours)),
        (2 * tenth - fifth) / (fifth + 1.0),
        middle, spread,
        math.log1p(ages[0]) if kept else math.log1p(age),
        math.log1p(max(0.0, age - ages[-1])) if kept else math.log1p(age),
        *_gaps(ages),
    ]  # fmt: skip


def _moments(values: Floats) -> tuple[float, float]:
    """Mean and standard deviation (n,), to the bit those of numpy, whose own calls take longer than the sums."""
    mean = float(np.add.reduce(values)) / len(values)
    about = values - mean
    return mean, math.sqrt(float(np.add.reduce(about * about)) / len(values))


def _gaps(ages: Floats) -> list[float]:
    """Statistics of the times between reshares; zeros with fewer than two."""
    if len(ages) < 2:
        return [0.0] * (len(QUANTILES) + 4)
    gaps = ages[1:] - ages[:-1]
    gaps.sort()
    mean, spread = _moments(gaps)
    at = [gaps[round(q * (len(gaps) - 1))] for q in QUANTILES]
    return [
        *(math.log1p(gap) for gap in at),
        math.log1p(mean),
        spread / (mean + 1.0),
        math.log1p(gaps[-1]),
        (spread - mean) / (spread + mean) if mean > 0 else 0.0,  # Goh and Barabasi: -1 regular, 0 Poisson, 1 bursty
    ]


def _shape(view: CascadeView, reshared: NDArray[np.bool_], age: float) -> list[float]:
    n = len(view)
    levels = np.bincount(view.depths)
    children = np.bincount(view.parents[1:], minlength=n) if n > 1 else np.zeros(n, dtype=np.int64)
    edges = max(n - 1, 1)
    parents = int(np.count_nonzero(children))
    largest = int(children[1:].max()) if n > 1 else 0
    by_depth = np.arange(len(levels))
    mean_depth = float(levels @ by_depth) / edges
    spread = math.sqrt(max(0.0, float(levels @ by_depth**2) / edges - mean_depth**2))
    fresh = max(1, int(view.ages.searchsorted(0.75 * age, side="right")))
    new = n - fresh
    by_level = levels.tolist()
    shares = [by_level[d] / edges if d < len(by_level) else 0.0 for d in DEPTHS]
    return [
        math.log1p(n), float(len(levels) - 1), mean_depth, spread,
        *shares, sum(by_level[DEPTHS[-1] + 1 :]) / edges,
        math.log1p(max(by_level[1:]) if n > 1 else 0), (n - parents) / n if n > 1 else 0.0,
        math.log1p(children[0]), children[0] / edges,
        math.log1p(largest), largest / edges,
        math.log1p(parents), (n - 1) / parents if parents else 0.0,
        mean_distance(view.parents, view.depths, levels),
        np.count_nonzero(view.parents[fresh:] == 0) / new if new else 0.0,
        float(np.add.reduce(view.depths[fresh:], dtype=np.float64)) / new if new else 0.0,
    ]  # fmt: skip


def mean_distance(parents: NDArray[np.int32], depths: NDArray[np.int32], levels: Ints | None = None) -> float:
    """Mean distance of two nodes of a tree, the Wiener index over the pairs (structural virality, Goel et al.
    2016).

    An edge with s nodes below it lies on s (n - s) of the paths; 0 for a single node. O(n) but for ordering
    by depth. ``levels``: how many nodes there are at each depth, where that is known.
    """
    n = len(parents)
    if n < 2:
        return 0.0
    below = np.ones(n)
    counts = np.bincount(depths) if levels is None else levels
    start = 0
    if len(counts) > 2:
        deepest_first = np.argsort(depths, kind="stable")[::-1]
    # One level at a time, so that a node is complete when it is added to its parent; the root's sum is not needed.
    for end in np.cumsum(counts[:1:-1]).tolist():
        nodes = deepest_first[start:end]
        np.add.at(below, parents[nodes], below[nodes])
        start = end
    return float((below[1:] * (n - below[1:])).sum()) * 2.0 / (n * (n - 1.0))


def distinct(values: NDArray[Any]) -> int:
    """How many different values there are: for the small arrays of most cascades a tenth of what `np.unique` takes."""
    ordered = np.sort(values)
    return int(np.count_nonzero(ordered[1:] != ordered[:-1])) + min(len(ordered), 1)


def _audience(view: CascadeView) -> list[float]:
    users = distinct(view.users[view.users != 0])
    told = view.followers[1:]
    known = told[told == told].astype(np.float64)  # what is not known is NaN
    total = largest = middle = 0.0
    if len(known):
        logs = np.log1p(known)
        total, largest, middle = float(known.sum()), float(logs.max()), float(logs.mean())
    root = view.root_followers
    return [
        math.log1p(users), users / len(view),
        math.log1p(root or 0), float(root is not None),
        float(bool(view.root_verified)), float(view.root_verified is not None),
        math.log1p(total), largest, middle,
        len(known) / max(len(view) - 1, 1),
        math.log1p(total / (root + 1.0)) if root is not None else 0.0,
    ]  # fmt: skip


def _clock(view: CascadeView, age: float, horizon: float) -> list[float]:
    root = view.root_time if math.isfinite(view.root_time) else 0.0
    angles = [2 * math.pi * ((root + after) % DAY) / DAY for after in (0.0, age, horizon)]
    angles.append(2 * math.pi * ((root - MONDAY) % WEEK) / WEEK)
    return [
        *(part(angle) for angle in angles for part in (math.sin, math.cos)),
        float(not view.has_root),
        float(math.isfinite(view.withdrawn_at)),
    ]
