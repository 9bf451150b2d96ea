"""A cascade as it was visible at one instant: plain read-only arrays, ready for features, models and exports."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from graph.irregular import BIN_SECONDS
from graph.records import INFERRED, KIND_MASK, NAMES_ROOT, QUOTE, REPLY, REPOST, depths_of

if TYPE_CHECKING:
    from graph.cascade import Cascade


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class CascadeView:
    """The nodes visible at event time ``as_of``, in the canonical order (age, depth, id hash); index 0 is the root.

    The order does not depend on the order of arrival. Arrays are read-only. A parent comes before its children, unless
    an event's own time is earlier than its parent's. As long as the post itself is not visible (``has_root`` is false),
    a virtual root stands at index 0 and ages count from the earliest visible event. Before there is anything to see,
    the root stands there alone.
    """

    cascade: str
    root_time: float
    as_of: float
    has_root: bool
    ages: NDArray[np.float64]
    """(n,) seconds since the root, nondecreasing from 0; an event before its root has age 0."""
    parents: NDArray[np.int32]
    """(n,) index into these arrays, -1 for the root. Undone nodes are bridged; parents not visible yet are the root."""
    depths: NDArray[np.int32]
    """(n,) 0 for the root."""
    users: NDArray[np.uint64]
    """(n,) `graph.identity.hash_of` the user, 0 where unknown."""
    kinds: NDArray[np.uint8]
    """(n,) 0 post, 1 repost, 2 quote, 3 reply."""
    reshares: NDArray[np.bool_]
    """(n,) whether a node counts as popularity: reposts and quotes."""
    reshare_ages: NDArray[np.float64]
    """(size - binned,) ages of the reposts and quotes (s)."""
    inferred: NDArray[np.bool_]
    """(n,) whether a node hangs on the root because its parent is absent or was not known at ``as_of``."""
    followers: NDArray[np.float32]
    """(n,) followers of the node's author, NaN where unknown."""
    ids: NDArray[np.uint64]
    """(n,) `graph.identity.hash_of` the event's id, 0 for a virtual root."""
    root_followers: int | None
    root_verified: bool | None
    root_lang: str | None
    root_source: str | None
    withdrawn_at: float
    """Event time from which the post is taken back, +inf if that is not visible."""
    binned: int
    """Reshares beyond the kept maximum, counted by the minute; part of ``size``, absent from the arrays above."""
    binned_ages: NDArray[np.float64]
    """(m,) ages, ascending, at which minutes of such reshares were over."""
    binned_counts: NDArray[np.int64]
    """(m,) how many came in each; their sum is ``binned``."""

    def __len__(self) -> int:
        return len(self.ages)

    @property
    def size(self) -> int:
        """Popularity at ``as_of``."""
        return len(self.reshare_ages) + self.binned

    def binned_until(self, ages: NDArray[np.float64]) -> NDArray[np.int64]:
        """Binned reshares seen by each of ``ages`` (s), in the shape of ``ages``."""
        upto = np.concatenate(([0], np.cumsum(self.binned_counts)))
        return np.asarray(upto[np.searchsorted(self.binned_ages, ages, side="right")])

    @property
    def age_seconds(self) -> float:
        """Age of the cascade at ``as_of``; never negative, +inf in a view of everything."""
        return max(0.0, self.as_of - self.root_time)


def build_view(cascade: Cascade, as_of: float) -> CascadeView:
    """The view of ``cascade`` as of ``as_of`` (s)."""
    cascade._settle_depths()
    if cascade._ordered:
        return _view_of_prefix(cascade, cascade._seen_in_order(as_of), as_of)
    return _view_of_visible(cascade, as_of)


def reshares_seen(cascade: Cascade, as_of: float) -> int:
    """The size a view as of ``as_of`` would have."""
    binned = 0 if cascade._irregular is None else cascade._irregular.counted(as_of)
    if cascade._ordered:
        seen = cascade._seen_in_order(as_of)
        nodes = len(cascade._keys) >> 3
        kept = cascade._size - cascade.binned
        if seen == nodes:
            return kept + binned
        if kept == nodes - 1:  # no replies
            return seen - 1 + binned
        flags = cascade._columns(seen)["flags"]
        return int(np.count_nonzero(flags[1:] & KIND_MASK != REPLY)) + binned
    records = cascade._columns()
    seen_from, seen_until = visibility(cascade, records["time"])
    visible = (seen_from <= as_of) & ~(seen_until <= as_of) & (records["flags"] & KIND_MASK != REPLY)
    return int(np.count_nonzero(visible[1:])) + binned


def _view_of_prefix(cascade: Cascade, count: int, as_of: float) -> CascadeView:
    """Records in order of visibility, parents before children: a view is the first ``count`` of them."""
    records = cascade._columns(count)
    root_time = cascade.root_time
    # A virtual root among undos alone has no time to subtract.
    ages = records["time"] - root_time if count > 1 else np.zeros(1)
    parents = records["parent"].astype(np.int32)
    depths = records["depth"].astype(np.int32)
    parents[0] = -1
    inferred = records["flags"] & INFERRED != 0
    return _view(cascade, as_of, root_time, cascade.has_root, ages, parents, depths, inferred, records, None)


def _view_of_visible(cascade: Cascade, as_of: float) -> CascadeView:
    """The general case: pick the visible nodes and bridge what is missing between them."""
    records = cascade._columns()
    times = records["time"].copy()  # (n,)
    seen_from, seen_until = visibility(cascade, times)
    known = seen_from <= as_of
    root_seen = cascade.has_root and bool(known[0])
    known[0] = True
    visible = known & ~(seen_until <= as_of)
    others = known[1:]
    if root_seen or not others.any():
        has_root, root_time = cascade.has_root, cascade.root_time
    else:
        has_root, root_time = False, float(times[1:][others].min())
    times[0] = root_time

    # Whoever looks at as_of knows of a parent only once it can be seen, but of an undone one whose child it was.
    parents = records["parent"].astype(np.int32)
    unknown = ~known[parents]
    parents[unknown] = 0
    inferred = unknown | (records["flags"] & (INFERRED if has_root else INFERRED | NAMES_ROOT) != 0)
    while (bridged := ~visible[parents]).any():
        parents[bridged] = parents[parents[bridged]]
    chosen = np.flatnonzero(visible)
    index = np.zeros(len(times), np.int32)
    index[chosen] = np.arange(len(chosen))
    parents = index[parents[chosen]]
    depths = depths_of(parents)
    parents[0] = -1
    ages = np.maximum(times[chosen] - root_time, 0.0)
    return _view(cascade, as_of, root_time, has_root, ages, parents, depths, inferred[chosen], records, chosen)


def visibility(cascade: Cascade, times: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Event times (n,) from which each node is visible and from which no more, NaN if it was never undone."""
    seen_from = times.copy()
    seen_until = np.full(len(times), np.nan)
    if cascade._irregular is not None:
        for position, time in cascade._irregular.late.items():
            seen_from[position] = time
        for position, time in cascade._irregular.undone.items():
            seen_until[position] = time
    return seen_from, seen_until


def _view(
    cascade: Cascade,
    as_of: float,
    root_time: float,
    has_root: bool,
    ages: NDArray[np.float64],
    parents: NDArray[np.int32],
    depths: NDArray[np.int32],
    inferred: NDArray[np.bool_],
    records: NDArray[Any],
    chosen: NDArray[np.int64] | None,
) -> CascadeView:
    """Gather the remaining columns of the ``chosen`` records (all of them if None) and put them in canonical order."""
    users = records["user"].astype(np.uint64)
    kinds = records["flags"] & np.uint8(KIND_MASK)
    ids = np.frombuffer(cascade._keys, ">u8", len(records)).astype(np.uint64)
    if cascade._followers is not None:
        followers = np.frombuffer(cascade._followers, "<f4", len(records)).astype(np.float32)
    else:
        followers = np.full(len(records), np.nan, np.float32)
        if cascade.root_followers is not None:
            followers[0] = cascade.root_followers
    if chosen is not None:
        users, kinds, ids, followers = users[chosen], kinds[chosen], ids[chosen], followers[chosen]
    if not has_root:
        ids[0] = users[0] = 0
        followers[0] = np.nan
    order = _canonical_order(ages, depths, ids)
    if order is not None:
        index = np.empty(len(order), np.int32)
        index[order] = np.arange(len(order), dtype=np.int32)
        parents = index.take(parents.take(order))
        parents[0] = -1
        ages, depths, users, kinds = ages.take(order), depths.take(order), users.take(order), kinds.take(order)
        ids, followers, inferred = ids.take(order), followers.take(order), inferred.take(order)
    reshares = kinds - np.uint8(REPOST) <= QUOTE - REPOST  # what is less wraps around and is more
    reshare_ages = ages[reshares]
    for column in (ages, parents, depths, users, kinds, reshares, reshare_ages, inferred, followers, ids):
        column.setflags(write=False)
    binned_ages, binned_counts = _bins(cascade, root_time, as_of)
    withdrawn_at = cascade.withdrawn_at
    return CascadeView(
        cascade=cascade.id,
        root_time=root_time,
        as_of=as_of,
        has_root=has_root,
        ages=ages,
        parents=parents,
        depths=depths,
        users=users,
        kinds=kinds,
        reshares=reshares,
        reshare_ages=reshare_ages,
        inferred=inferred,
        followers=followers,
        ids=ids,
        root_followers=cascade.root_followers if has_root else None,
        root_verified=cascade.root_verified if has_root else None,
        root_lang=cascade.root_lang if has_root else None,
        root_source=cascade.root_source if has_root else None,
        withdrawn_at=withdrawn_at if withdrawn_at <= as_of else math.inf,
        binned=int(binned_counts.sum()),
        binned_ages=binned_ages,
        binned_counts=binned_counts,
    )


def _canonical_order(
    ages: NDArray[np.float64], depths: NDArray[np.int32], ids: NDArray[np.uint64]
) -> NDArray[np.int64] | None:
    """Places (n,) in the order of age, then depth, then id; None where they lie so already.

    Events mostly come in order of time, so only those of equal times need to be sorted among themselves.
    """
    rises = ages[1:] > ages[:-1]
    if rises.all():
        return None
    if not (ages[1:] >= ages[:-1]).all():
        return np.lexsort((ids, depths, ages))
    tied = np.zeros(len(ages), np.bool_)
    tied[1:] = ~rises
    tied[:-1] |= tied[1:]
    places = np.flatnonzero(tied)
    among = np.lexsort((ids.take(places), depths.take(places), ages.take(places)))
    order = np.arange(len(ages))
    order[places] = places.take(among)
    return order


_NO_AGES: Final[NDArray[np.float64]] = np.zeros(0)
_NO_COUNTS: Final[NDArray[np.int64]] = np.zeros(0, np.int64)


def _bins(cascade: Cascade, root_time: float, as_of: float) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The minutes of reshares not kept that were over by ``as_of``: ages and counts."""
    if cascade._irregular is None or not cascade._irregular.bins:
        return _NO_AGES, _NO_COUNTS
    over = [(minute * BIN_SECONDS, count) for minute, count in cascade._irregular.bins.items()]
    seen = sorted((time, count) for time, count in over if time <= as_of)
    ages = np.maximum(np.array([time for time, _ in seen], np.float64) - root_time, 0.0)
    return ages, np.array([count for _, count in seen], np.int64)
