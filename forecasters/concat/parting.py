"""How a batch of sequences is parted: like lengths together, since padding costs a sequential step for all."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

STEP_ROWS: Final = 96
"""A sequential step costs as much whatever the batch as so many more samples would: measured on one core, by batches of
80 to 320 cascades."""


def parts_of_like_length(lengths: Ints, most: int) -> list[Ints]:
    """The rows (B,) in parts of at most ``most``, shortest first; the whole is the cheapest there is.

    A part of n rows with N events in the longest costs N (n + `STEP_ROWS`). In the order of their lengths the cheapest
    parting of the first j rows follows from those of fewer: the last part begins somewhere. Rows of one length part
    only where there are more than ``most``.
    """
    if not len(lengths):
        return []
    order = np.argsort(lengths, kind="stable")
    longest = lengths[order].tolist()
    borders = [at for at in range(1, len(longest)) if longest[at] != longest[at - 1]]
    ends = [0]
    for border in [*borders, len(longest)]:
        ends += [*range(ends[-1] + most, border, most), border]
    cost, begins = [0], [0]
    for last, end in enumerate(ends[1:], start=1):
        best, first = min(
            (cost[first] + longest[end - 1] * (end - begin + STEP_ROWS), first)
            for first, begin in enumerate(ends[:last])
            if end - begin <= most
        )
        cost.append(best)
        begins.append(first)
    found: list[Ints] = []
    last = len(ends) - 1
    while last > 0:
        found.append(order[ends[begins[last]] : ends[last]])
        last = begins[last]
    return found[::-1]
