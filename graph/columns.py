"""Where a cascade lies in memory: packed columns that grow at their ends, and single records in them."""

from __future__ import annotations

import math
import struct
from bisect import bisect_right
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from graph.identity import KEY_BYTES, UNKNOWN_USER, HashIndex, aligned_find
from graph.irregular import Irregular
from graph.records import INFERRED, NARROW, WIDE, Layout, depths_of, widened

MAX_EVENTS: Final = 200_000
"""Nodes kept in full: three times the largest cascades of a platform's ordinary day, and some 8 MB."""

_FLOAT32: Final = struct.Struct("<f")
_NOT_A_NUMBER: Final = _FLOAT32.pack(math.nan)

RootFacts = tuple[int | None, bool | None, str | None, str | None]
"""Followers, verified, language and source of a post."""


class Columns:
    """The state of a cascade; `graph.growth` changes it, `graph.view` and `graph.delta` read it.

    Positions are record numbers, in order of arrival; the root is at 0.
    """

    __slots__ = (
        "_changed",
        "_depth",
        "_depths_stale",
        "_derived",
        "_followers",
        "_index",
        "_irregular",
        "_keys",
        "_last_time",
        "_layout",
        "_marked_nodes",
        "_marked_version",
        "_ordered",
        "_records",
        "_root",
        "_size",
        "id",
        "max_events",
        "stored",
        "version",
    )

    def __init__(self, id: str, *, max_events: int = MAX_EVENTS) -> None:
        self.id = id
        self.max_events = max_events
        self.version = 0
        self.stored: Any = None  # where it lies, for whoever keeps it durable: here, so that nobody has to look it up
        self._layout = NARROW
        # Position 0 is the root, a virtual one until its post arrives: no key, and the earliest time of the others.
        self._keys = bytearray(KEY_BYTES)
        self._records = bytearray(NARROW.pack(math.inf, UNKNOWN_USER, 0, 0, 0))
        self._followers: bytearray | None = None  # float32 a node, once a reaction says its author's followers
        self._index: HashIndex | None = None
        self._irregular: Irregular | None = None
        self._root: RootFacts | None = None
        self._size = 0
        self._depth = 0
        self._last_time = -math.inf
        # Records lie in order of visibility and every parent before its children, so a prefix of them is a view.
        self._ordered = True
        self._depths_stale = False
        self._derived: dict[Any, Any] | None = None
        # What the last delta told: that many nodes, this version; and which of those nodes have changed since.
        self._marked_nodes = 0
        self._marked_version = 0
        self._changed: set[int] | None = None

    def _find(self, key: bytes) -> int:
        return aligned_find(self._keys, key) if self._index is None else self._index.find(self._keys, key)

    def _key(self, position: int) -> bytes:
        return bytes(self._keys[position * KEY_BYTES : (position + 1) * KEY_BYTES])

    def _time(self, position: int) -> float:
        time: float = self._layout.unpack_from(self._records, position * self._layout.size)[0]
        return time

    def _parent(self, position: int) -> int:
        parent: int = self._layout.unpack_from(self._records, position * self._layout.size)[2]
        return parent

    def _flags(self, position: int) -> int:
        return self._records[(position + 1) * self._layout.size - 1]

    def _visible_from(self, position: int) -> float:
        time = self._time(position)
        return time if self._irregular is None else self._irregular.late.get(position, time)

    def _set_virtual_root_time(self, time: float) -> None:
        self._records[: self._layout.size] = self._layout.pack(time, UNKNOWN_USER, 0, 0, 0)
        self._note_change(0)

    def _set_parent(self, position: int, parent: int, *, how: int = 0) -> None:
        layout = self._layout
        start = position * layout.size
        time, user, _, depth, flags = layout.unpack_from(self._records, start)
        flags = flags & ~INFERRED | how
        self._records[start : start + layout.size] = layout.pack(time, user, parent, depth, flags)
        self._note_change(position)

    def _note_change(self, position: int) -> None:
        if position < self._marked_nodes:
            if self._changed is None:
                self._changed = set()
            self._changed.add(position)

    def _note_followers(self, position: int, followers: int | None) -> None:
        if self._followers is None:
            self._followers = bytearray(_NOT_A_NUMBER * position)
            if self._root is not None:
                self._followers[:4] = as_float32(self._root[0])
        self._followers += as_float32(followers)

    def _absorb_followers(self, first: int, followers: bytes) -> None:
        """Replace the followers from position ``first`` on by restored ones."""
        if self._followers is None:
            self._followers = bytearray(_NOT_A_NUMBER * first)
        self._followers[first * len(_NOT_A_NUMBER) :] = followers
        if self._root is not None:
            self._followers[:4] = as_float32(self._root[0])

    def _arrive_late(self, position: int, watermark: float) -> None:
        self._irregularities().late[position] = math.nextafter(watermark, math.inf)
        self._ordered = False

    def _irregularities(self) -> Irregular:
        if self._irregular is None:
            self._irregular = Irregular()
        return self._irregular

    def _widen(self) -> tuple[Layout, bytearray]:
        self._records = widened(self._records)
        self._layout = WIDE
        return self._layout, self._records

    def _columns(self, count: int = -1) -> NDArray[Any]:
        """The first ``count`` records as a structured array; drop it before the next append, which it would forbid."""
        return np.frombuffer(self._records, self._layout.dtype, count)

    def _settle_depths(self) -> None:
        """Recompute the depths after nodes were hung on other parents."""
        if not self._depths_stale:
            return
        depths = depths_of(self._columns()["parent"].astype(np.int32))
        self._depth = int(depths.max())
        if self._depth > self._layout.max_depth:
            self._widen()
        self._columns()["depth"] = depths
        self._depths_stale = False

    def _seen_in_order(self, as_of: float) -> int:
        """Records of an ordered cascade visible at ``as_of``; the root always is."""
        nodes = len(self._keys) >> 3
        if as_of >= self._last_time:
            return nodes
        return max(1, bisect_right(range(nodes), as_of, key=self._time))


def as_float32(value: int | None) -> bytes:
    """Four bytes, NaN for None."""
    return _NOT_A_NUMBER if value is None else _FLOAT32.pack(value)
