"""Counts by slot of event time and by size on a logarithmic scale: what is usual, and who stands out.

What is counted in a slot is used from the next slot on, so that neither batches nor crashes have a say in it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Final

BINS_PER_OCTAVE: Final = 16
"""A bin is 4.4 % wide: finer than any forecast, and a heavy tail still has a few hundred bins at most."""

MAX_SOURCES: Final = 32
"""Sources that are told apart in a partition at a time; the rest count together."""

REST: Final = "\x1frest"
"""All other sources; no id or source of an event holds this byte."""

Slots = dict[float, dict[str, dict[int, int]]]
"""Beginning of the slot -> source -> bin -> count."""


def bin_of(value: float) -> int:
    """The bin of a size; 0 for a size of 0.

    >>> bin_of(0.0), bin_of(1.0), bin_of(3.0)
    (0, 16, 32)
    """
    return math.floor(BINS_PER_OCTAVE * math.log2(1.0 + max(0.0, value)))


def place_of(slots: Slots, source: str) -> str:
    """Under which name a source is counted: its own, as long as there is room for one more."""
    known = {name for counts in slots.values() for name in counts if name != REST}
    return source if source in known or len(known) < MAX_SOURCES else REST


def count(slots: Slots, start: float, source: str, number: int) -> None:
    """Count one more in a bin."""
    bins = slots.setdefault(start, {}).setdefault(source, {})
    bins[number] = bins.get(number, 0) + 1


def merged(slots: Slots, since: float, before: float) -> dict[str, Counter[int]]:
    """The slots that began in [since, before), by source."""
    found: dict[str, Counter[int]] = {}
    for start, counts in slots.items():
        if since <= start < before:
            for source, bins in counts.items():
                found.setdefault(source, Counter()).update(bins)
    return found


def forget(slots: Slots, before: float) -> bool:
    """Drop the slots that began earlier; whether there were any."""
    old = [start for start in slots if start < before]
    for start in old:
        del slots[start]
    return bool(old)


class Ranks:
    """How much of a population is at least as large as a size."""

    def __init__(self, counts: Mapping[str, Counter[int]]) -> None:
        self._totals = {source: bins.total() for source, bins in counts.items()}
        self._upto: dict[str, tuple[list[int], list[int]]] = {}
        for source, bins in counts.items():
            above, numbers, sums = 0, [], []
            for number in sorted(bins, reverse=True):
                above += bins[number]
                numbers.append(number)
                sums.append(above)
            self._upto[source] = numbers, sums

    def _name(self, source: str) -> str:
        return source if source in self._totals else REST

    def total(self, source: str) -> int:
        """How many of a source were counted."""
        return self._totals.get(self._name(source), 0)

    def share_at_least(self, source: str, size: float) -> float:
        """The share of them in the size's bin or above, in [0, 1]; NaN where none was counted."""
        total = self.total(source)
        if not total:
            return math.nan
        wanted, reached = bin_of(size), 0
        for number, above in zip(*self._upto[self._name(source)], strict=True):
            if number < wanted:
                break
            reached = above
        return reached / total
