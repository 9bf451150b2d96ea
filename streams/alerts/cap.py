"""At most so many alerts an hour, and the most important ones.

Two things decide on a candidate. What is *left*: a bucket that fills with event time at the rate of the cap. And the
*bar*: the importance that no more candidates reached, in the hours before, than the cap allows; so what is left waits
for those that matter. Each partition has its part of the cap.
"""

from __future__ import annotations

import math
from typing import Final

from streams.alerts.histograms import BINS_PER_OCTAVE, Slots, merged
from streams.alerts.ledger import CANDIDATES

BAR_SECONDS: Final = 6 * 3600.0
"""Candidates of so many hours of event time set the bar: a part of a day, since nights differ from days."""

HOUR_SECONDS: Final = 3600.0


def importance_bin(importance: float) -> int:
    """The bin of an importance in octaves."""
    return math.floor(importance * BINS_PER_OCTAVE)


def left(budget: tuple[float, float] | None, as_of: float, per_hour: float) -> float:
    """What is left of the cap at ``as_of``; it never holds more than an hour's worth, or one alert."""
    room = max(1.0, per_hour)
    if budget is None:
        return room
    level, at = budget
    return min(room, level + max(0.0, as_of - at) * per_hour / HOUR_SECONDS)


def bar(candidates: Slots, start: float, began: float, per_hour: float) -> int:
    """The bin of importance to be reached in the slot that begins at ``start``; 0 where all candidates may pass."""
    since = start - BAR_SECONDS
    hours = (start - max(since, began)) / HOUR_SECONDS
    bins = merged(candidates, since, start).get(CANDIDATES)
    if bins is None or not hours > 0 or not math.isfinite(hours):
        return 0
    above = 0
    for number in sorted(bins, reverse=True):
        above += bins[number]
        if above >= per_hour * hours:
            return number
    return 0
