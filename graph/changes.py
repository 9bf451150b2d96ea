"""Every change of a cascade's size, in order of time: what a walk through its whole life needs, without a view for each
of its moments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from graph.irregular import BIN_SECONDS
from graph.records import KIND_MASK, REPLY
from graph.view import visibility

if TYPE_CHECKING:
    from graph.cascade import Cascade


@dataclass(frozen=True, slots=True, eq=False)
class SizeChanges:
    """The K changes of one cascade, in order of time; the size as of a time is the sum of the steps up to it."""

    times: NDArray[np.float64]
    """(K,) seconds since the epoch."""
    steps: NDArray[np.int64]
    """(K,) 1 for a reshare that can be seen from here on, -1 for one that was taken back here."""
    users: NDArray[np.uint64]
    """(K,) `graph.identity.hash_of` the reshare's user, 0 where unknown."""
    direct: NDArray[np.bool_]
    """(K,) whether the reshare hung on the root when it could first be seen."""


def size_changes(cascade: Cascade) -> SizeChanges:
    """The changes of ``cascade``; reshares that are only counted by the minute come when their minute is over."""
    every = cascade._columns()
    records, parents = every[1:], every["parent"][1:]
    seen_from, seen_until = visibility(cascade, every["time"])
    direct = (parents == 0) | (seen_from[parents] > seen_from[1:])
    appear, vanish = seen_from[1:], seen_until[1:]
    reshares = (records["flags"] & KIND_MASK != REPLY) & ~(vanish <= appear)
    undone = reshares & ~np.isnan(vanish)
    users = records["user"].astype(np.uint64)
    bins = {} if cascade._irregular is None else cascade._irregular.bins
    counted = np.repeat(np.array([minute * BIN_SECONDS for minute in bins], np.float64), list(bins.values()))
    times = np.concatenate([appear[reshares], vanish[undone], counted])
    steps = np.ones(len(times), np.int64)
    steps[int(reshares.sum()) : int(reshares.sum() + undone.sum())] = -1
    nobody = np.zeros(len(counted), np.uint64)
    order = np.lexsort((-steps, times))
    return SizeChanges(
        times[order],
        steps[order],
        np.concatenate([users[reshares], users[undone], nobody])[order],
        np.concatenate([direct[reshares], direct[undone], nobody == 0])[order],
    )
