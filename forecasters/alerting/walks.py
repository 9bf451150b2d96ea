"""Posts walked through time: what a rule says of each at every moment it looks, and when it would have alerted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forecasters.alerting.growth_curves import GrowthCurves, Ints
from forecasters.alerting.ranker import YOUNG
from forecasters.alerting.standing import ranks
from forecasters.alerting.today import trailing_counts

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

EACH_UNTIL: Final = 10
GROWTH_BETWEEN_LOOKS: Final = 1.1
"""The ranker looks at each of the first ten reposts of a post, then whenever it grew by a tenth; today's rules look at
every repost. Its lead is so measured a little short."""
YOUNGEST_SECONDS: Final = YOUNG.youngest_seconds
"""Before, the ranker is not asked: it has learned from no younger posts, and what it would say of them is chance."""


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """Looks (B,) of one rule, ordered by post and age; ``scores`` rise with the chance of the top."""

    posts: Ints
    ages: Floats
    scores: Floats

    def peaks(self, posts: Ints) -> Floats:
        """The highest score of each of ``posts`` (n,), ascending; -inf for one never looked at."""
        found = np.full(len(posts), -np.inf)
        np.maximum.at(found, np.searchsorted(posts, self.posts), self.scores)
        return found

    def alert_ages(self, posts: Ints, threshold: float) -> Floats:
        """The age (n,) of the first look whose score reaches the threshold; +inf where none does."""
        reached = np.flatnonzero(self.scores >= threshold)
        alerted, first = np.unique(self.posts[reached], return_index=True)
        found = np.full(len(posts), np.inf)
        found[np.searchsorted(posts, alerted)] = self.ages[reached[first]]
        return found


def count_walk(curves: GrowthCurves, posts: Ints) -> Walk:
    """Reposts so far, at every repost."""
    places = _reposts(curves, posts)
    sizes = curves.sizes[places + 1] - curves.sizes[curves.starts[curves.posts[places]]]
    return Walk(curves.posts[places], curves.ages[places], sizes.astype(np.float64))


def rank_walk(curves: GrowthCurves, posts: Ints) -> Walk:
    """The place in a list of all posts alive by size, at every repost; the first place scores highest, 0."""
    places = _reposts(curves, posts)
    return Walk(curves.posts[places], curves.ages[places], -ranks(curves, places).astype(np.float64))


def rate_walk(curves: GrowthCurves, posts: Ints, window_seconds: float) -> Walk:
    """Reposts in the window that ends now, at every repost."""
    places = _reposts(curves, posts)
    gained = trailing_counts(curves, places, window_seconds).astype(np.float64)
    return Walk(curves.posts[places], curves.ages[places], gained)


def looks(curves: GrowthCurves, posts: Ints) -> tuple[Ints, Floats]:
    """Posts (B,) and ages (B,) just after the reposts at which the ranker is asked."""
    places = _reposts(curves, posts)
    ordinals = places - curves.starts[curves.posts[places]] + 1
    wanted = np.zeros(int(ordinals.max(initial=0)) + 1, dtype=bool)
    at = 1
    while at < len(wanted):
        wanted[at] = True
        at = at + 1 if at < EACH_UNTIL else int(np.ceil(at * GROWTH_BETWEEN_LOOKS))
    chosen = places[wanted[ordinals]]
    ages = np.maximum(np.nextafter(curves.ages[chosen], np.inf), YOUNGEST_SECONDS)
    # Reposts before the youngest age make one look, at it.
    of = curves.posts[chosen]
    last = np.append((of[1:] != of[:-1]) | (ages[1:] != ages[:-1]), [True] if len(of) else [])
    return of[last.astype(bool)], ages[last.astype(bool)]


def half_ages(curves: GrowthCurves, posts: Ints) -> Floats:
    """The ages (n,) at which posts first had half of their final size, which must be above 0."""
    found = np.empty(len(posts))
    for i, post in enumerate(posts.tolist()):
        first, end = curves.starts[post], curves.starts[post + 1]
        sizes = curves.sizes[first + 1 : end + 1] - curves.sizes[first]
        found[i] = curves.ages[first + int(np.argmax(2 * sizes >= sizes[-1]))]
    return found


def _reposts(curves: GrowthCurves, posts: Ints) -> Ints:
    """Places of the reposts, not of those taken back, of ``posts``."""
    chosen = np.zeros(len(curves), dtype=bool)
    chosen[posts] = True
    return np.flatnonzero(chosen[curves.posts] & (curves.steps > 0))
