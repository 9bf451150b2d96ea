"""Which forecasts come first when not all that are due can be made in time.

A post whose forecast has waited longer than is promised has a claim to half of the places, so that none is passed over
for ever. The other half goes to those where a forecast changes most for whoever reads it: first posts that stand near
an alert, then those that grew most since their last forecast, then the largest. A post that was forecast a moment ago
and hardly grew waits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import Final

PROMISED_SHARE: Final = 0.5
"""Of the places, for those that have waited too long. With all places for them, an overload that lasts leaves the order
of arrival and nothing else; with none, small posts starve."""

NEAR_DOUBLINGS: Final = 1.0
"""A forecast within a factor of two of a level may have crossed it meanwhile."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Why the forecast of a post should be made soon.

    ``near_alert``: an alert is open, or the last forecast lies near a level of a rule. ``growth``: log2 of the size
    against that at the last forecast, of a post without one against none.
    """

    cascade: str
    waits_seconds: float
    near_alert: bool
    growth: float
    size: int

    @property
    def importance(self) -> tuple[bool, float, int, float, str]:
        """Larger is more important; no two are equal."""
        return self.near_alert, self.growth, self.size, self.waits_seconds, self.cascade


Order = Callable[[Sequence[Claim], int, float], list[str]]
"""Of claims, the cascades to forecast now: at most so many, none of which should wait longer than so many seconds."""


def chosen(claims: Sequence[Claim], limit: int, within_seconds: float) -> list[str]:
    """The cascades to forecast now, at most ``limit``; ``within_seconds`` is how long none should wait."""
    late = [claim for claim in claims if claim.waits_seconds > within_seconds]
    promised = math.ceil(PROMISED_SHARE * limit)
    first = nlargest(promised, late, key=lambda claim: (claim.waits_seconds, *claim.importance))
    taken = {claim.cascade for claim in first}
    others = (claim for claim in claims if claim.cascade not in taken)
    rest = nlargest(limit - len(first), others, key=lambda claim: claim.importance)
    return [claim.cascade for claim in (*first, *rest)]


def growth_since(size: int, before: int) -> float:
    """log2 of a size against an earlier one."""
    return math.log2((1.0 + size) / (1.0 + before))


def is_near(expected: float, levels: Iterable[float]) -> bool:
    """Whether a forecast lies within `NEAR_DOUBLINGS` of one of the levels (sizes) that rules ask for."""
    log = math.log2(1.0 + max(expected, 0.0))
    return any(abs(log - math.log2(1.0 + level)) <= NEAR_DOUBLINGS for level in levels)
