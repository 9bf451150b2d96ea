"""Which forecasts come first when not all that are due can be made in time.

A forecast is worth making by what it may tell: that a post will be large, where no open alert says so yet, and that it
changed since its last forecast. So the order is that of a score in doublings: of the size expected by now, more for a
post that grew since it was last forecast or stands near a level that a rule asks for, less where an alert is open. A
post that was forecast a moment ago and hardly grew waits. A tenth of the places is kept for whoever has waited longer
than is promised, so that none is passed over for ever.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import Final

PROMISED_SHARE: Final = 0.1
"""Of the places, for those that have waited too long: with a quarter, fewer alerts were left under a fivefold load."""

NEVER_FORECAST_RATIO: Final = 3.0
"""What a post without a forecast is taken to reach, in sizes it has: the usual growth that is still to come."""

GROWTH_WEIGHT: Final = 4.0
GROWTH_ENOUGH: Final = 0.5
"""Doublings since the last forecast from which on it tells no more: the next one is as good as a first."""

NEAR_DOUBLINGS: Final = 1.0
NEAR_BONUS: Final = 2.0
OPEN_MALUS: Final = 3.0
"""Whoever acts on alerts has heard of the post."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What speaks for making the forecast of a post soon; sizes of its last forecast are None where there was none."""

    cascade: str
    waits_seconds: float
    size: int
    last_size: int | None
    last_expected: float | None
    has_alert: bool

    @property
    def growth(self) -> float:
        """Doublings since the last forecast, or since the post."""
        return math.log2((1.0 + self.size) / (1.0 + (self.last_size or 0)))

    @property
    def expected(self) -> float:
        """The size at the horizon, as far as one knows without another forecast: the last one, grown with the post."""
        if self.last_expected is None or self.last_size is None:
            return NEVER_FORECAST_RATIO * self.size
        return self.last_expected * (1.0 + self.size) / (1.0 + self.last_size)


Order = Callable[[Sequence[Claim], int, float, Sequence[float]], list[str]]
"""Of claims, the cascades to forecast now: at most so many, none of which should wait longer than so many seconds; the
last are the sizes at which rules decide."""


def by_importance(claims: Sequence[Claim], limit: int, within_seconds: float, levels: Sequence[float]) -> list[str]:
    """By `importance`, but for the places of those that have waited too long."""
    late = [claim for claim in claims if claim.waits_seconds > within_seconds]
    first = in_turn(late, math.ceil(PROMISED_SHARE * limit))
    taken = set(first)
    others = [claim for claim in claims if claim.cascade not in taken]
    best = nlargest(
        limit - len(first), others, key=lambda one: (importance(one, levels), one.waits_seconds, one.cascade)
    )
    return [*first, *(claim.cascade for claim in best)]


def in_turn(
    claims: Sequence[Claim], limit: int, within_seconds: float = math.inf, levels: Sequence[float] = ()
) -> list[str]:
    """Who has waited longest comes first: the order where the input waits for the forecasts, so that none is late."""
    return [
        claim.cascade for claim in nlargest(limit, claims, key=lambda one: (one.waits_seconds, one.size, one.cascade))
    ]


def importance(claim: Claim, levels: Iterable[float]) -> float:
    """The score, in doublings."""
    score = math.log2(1.0 + max(claim.expected, 0.0)) + GROWTH_WEIGHT * min(claim.growth, GROWTH_ENOUGH)
    if claim.has_alert:
        return score - OPEN_MALUS
    return score + NEAR_BONUS * is_near(claim.expected, levels)


def is_near(expected: float, levels: Iterable[float]) -> bool:
    """Whether a size lies within `NEAR_DOUBLINGS` of one of the levels."""
    log = math.log2(1.0 + max(expected, 0.0))
    return any(abs(log - math.log2(1.0 + level)) <= NEAR_DOUBLINGS for level in levels)
