"""Where a post stands among those alive: what a list of trending posts shows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from forecasters.alerting.growth_curves import GrowthCurves, Ints

Floats = NDArray[np.float64]


class SizeCounts:
    """How many posts have each size from 1 to a largest one (a binary indexed tree, Fenwick 1994)."""

    def __init__(self, largest: int) -> None:
        self._sums = [0] * (largest + 1)
        self._all = 0

    def add(self, size: int, count: int) -> None:
        """Count ``count`` more posts of a size of at least 1."""
        self._all += count
        while size < len(self._sums):
            self._sums[size] += count
            size += size & -size

    def larger(self, size: int) -> int:
        """The posts that are larger than ``size``."""
        upto = 0
        while size > 0:
            upto += self._sums[size]
            size -= size & -size
        return self._all - upto


def ranks(curves: GrowthCurves, places: Ints) -> Ints:
    """How many posts younger than the horizon are larger than the post at each of ``places`` (B,), after its change.

    Changes at one time come in the order of the posts, and a post leaves before what happens at that time.
    """
    times = curves.root_times[curves.posts] + curves.ages
    leaving = curves.root_times + curves.horizon_seconds
    order = np.lexsort((np.concatenate([np.arange(len(times)), np.full(len(leaving), -1)]), [*times, *leaving]))
    asked = np.zeros(len(times), dtype=bool)
    asked[places] = True
    after = curves.sizes[1:] - curves.sizes[curves.starts[curves.posts]]
    found = np.zeros(len(times), dtype=np.int64)
    sizes, counts = [0] * len(curves), SizeCounts(int(after.max(initial=0)))
    of, now, wanted, changes = curves.posts.tolist(), after.tolist(), asked.tolist(), len(times)
    for i in order.tolist():
        post, size = (of[i], now[i]) if i < changes else (i - changes, 0)
        if sizes[post]:
            counts.add(sizes[post], -1)
        if size:
            counts.add(size, 1)
        sizes[post] = size
        if i < changes and wanted[i]:
            found[i] = counts.larger(size)
    return found[places]
