"""What the ranker reads of a post at an age: its growth, its clock, and the people it has reached.

Where a few accounts post again and again, what their earlier posts received tells more than the first half hour of this
one. Levels and rates of the whole stream were tried beside these and ranked later posts no better.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forecasters.alerting.audience import DAY_SECONDS, Audience, newcomers
from forecasters.alerting.growth_curves import GrowthCurves, Ints

Floats = NDArray[np.float64]

PARTS: Final = 10
"""Equal parts of the age that are counted each."""
SHARES: Final = (0.1, 0.25, 0.5, 0.75)
RECENT_SECONDS: Final = (60.0, 180.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 14_400.0)
FIRST_SECONDS: Final = (60.0, 300.0, 900.0, 1800.0)
MONDAY_SECONDS: Final = 4 * DAY_SECONDS
"""1970-01-05, the first Monday of the epoch."""

GROWTH_NAMES: Final = (
    "log_count", "log_age",
    *(f"log_count_in_part_{part}" for part in range(1, PARTS)),
    *(f"share_by_{share:g}_of_age" for share in SHARES),
    *(f"log_recent_{seconds:g}s" for seconds in RECENT_SECONDS),
    *(f"log_first_{seconds:g}s" for seconds in FIRST_SECONDS),
    "log_silence", "silence_share", "log_first_age", "median_age_share",
    "distinct_share", "direct_share", "log_followers", "verified",
    "day_sin", "day_cos", "week_sin", "week_cos",
)  # fmt: skip
"""What a post shows on its own."""
PEOPLE_NAMES: Final = (
    "author_log_received", "author_log_received_in_a_day", "author_log_posts", "author_received_each",
    "author_log_reshared", "log_reach", "mean_log_reach", "mean_log_activity",
)  # fmt: skip
"""What all other posts of the stream tell of its people."""


def ranking_features(curves: GrowthCurves, audience: Audience | None, posts: Ints, ages: Floats) -> Floats:
    """The features (B, F) of posts (B,) at ages (B,) in seconds, above 0; finite, functions of what came before.

    Those of `GROWTH_NAMES`, and with the ``audience`` of ``curves`` those of `PEOPLE_NAMES`.
    """
    new = newcomers(curves) if audience is None else audience.distinct
    people = () if audience is None else _people(curves, audience, posts, ages)
    return np.column_stack([*_growth(curves, new, posts, ages), *people])


def _growth(curves: GrowthCurves, new: Floats, posts: Ints, ages: Floats) -> Iterator[Floats]:
    """The columns that a post shows on its own; ``new`` are the `newcomers`."""
    places, starts = curves.places(posts, ages), curves.starts[posts]
    count = curves.counts(posts, ages)
    some = np.maximum(count, 1)
    yield from (np.log1p(count), np.log(ages))
    by_part = [curves.counts(posts, ages * (part / PARTS)) for part in range(1, PARTS)]
    for earlier, later in zip(by_part, [*by_part[1:], count], strict=True):
        yield _log(later - earlier)
    for share in SHARES:
        yield curves.counts(posts, ages * share) / some
    for seconds in RECENT_SECONDS:
        yield _log(count - curves.counts(posts, ages - seconds))
    for seconds in FIRST_SECONDS:
        yield _log(curves.counts(posts, np.minimum(ages, seconds)))
    changed = places > starts
    known = np.concatenate([curves.ages, [0.0]])
    silence = np.where(changed, ages - known[places - 1], ages)
    yield from (np.log1p(silence), silence / ages)
    yield np.log1p(np.where(changed, known[starts], ages))
    yield np.where(changed, known[starts + (places - starts) // 2], ages) / ages
    yield (new[places] - new[starts]) / some
    direct = np.concatenate([[0], np.cumsum(curves.direct * curves.steps)])
    yield (direct[places] - direct[starts]) / some
    yield np.nan_to_num(np.log1p(curves.root_followers[posts]), nan=-1.0)
    yield np.nan_to_num(curves.root_verified[posts], nan=-1.0)
    day = 2.0 * math.pi * np.fmod(curves.root_times[posts] + ages, DAY_SECONDS) / DAY_SECONDS
    week = 2.0 * math.pi * np.fmod(curves.root_times[posts] - MONDAY_SECONDS, 7 * DAY_SECONDS) / (7 * DAY_SECONDS)
    yield from (np.sin(day), np.cos(day), np.sin(week), np.cos(week))


def _people(curves: GrowthCurves, audience: Audience, posts: Ints, ages: Floats) -> Iterator[Floats]:
    """The columns that the rest of the stream tells; what the post itself received is not counted among them."""
    now, authors = curves.root_times[posts] + ages, curves.root_users[posts]
    places, starts = curves.places(posts, ages), curves.starts[posts]
    taken = np.concatenate([[0], np.cumsum(curves.steps > 0)])
    own = np.where(authors != 0, taken[places] - taken[starts], 0)
    received = audience.received.before(authors, now) - own
    earlier = audience.received.before(authors, now - DAY_SECONDS)
    posted = audience.posted.before(authors, now) - (authors != 0)
    yield from (_log(received), _log(received - earlier), _log(posted))
    yield _log(received) - _log(posted)
    yield _log(audience.reshared.before(authors, now))
    some = np.maximum(curves.counts(posts, ages), 1)
    yield _log(audience.reach[places] - audience.reach[starts])
    yield (audience.log_reach[places] - audience.log_reach[starts]) / some
    yield (audience.activity[places] - audience.activity[starts]) / some


def _log(counts: NDArray[np.int64] | Floats) -> Floats:
    """log(1 + count); a count that shrank within a window, by reshares taken back, is none."""
    return np.asarray(np.log1p(np.maximum(counts, 0)))
