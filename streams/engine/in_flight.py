"""Outputs of a partition that were taken and are not out for certain yet."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable


class InFlight:
    """Their event times; several outputs may have the same."""

    def __init__(self) -> None:
        self._times: Counter[float] = Counter()

    def add(self, time: float) -> None:
        """One more was taken."""
        self._times[time] += 1

    def settle(self, time: float) -> None:
        """One of this time is out, with every acknowledgement asked for."""
        self._times[time] -= 1
        if not self._times[time]:
            del self._times[time]

    def earliest(self, besides: Iterable[float] = ()) -> float:
        """The earliest time once those of ``besides`` are out too; inf where none is left."""
        return min(self._times - Counter(besides), default=math.inf)
