"""What only few cascades have: late and undone events, waits for events not seen yet, counts of events not kept."""

from __future__ import annotations

import math
from array import array
from typing import Final

from graph.identity import KEY_BYTES, aligned_find

MAX_WAITING: Final = 1024
"""Waiting children and waiting undos a cascade may have; beyond it the oldest stop waiting. A parent usually follows
its child within seconds, so what is older than a thousand newer waits will hardly come."""

BIN_SECONDS: Final = 60.0
"""Reshares beyond the kept maximum are counted by the minute; such a count is visible once its minute is over."""


class WaitingChildren:
    """Children that hang on the root until their parent arrives: twelve bytes each, in order of arrival."""

    __slots__ = ("children", "keys")

    def __init__(self) -> None:
        self.keys = bytearray()  # the awaited parents' keys, concatenated
        self.children = array("I")

    def __len__(self) -> int:
        return len(self.children)

    def add(self, parent: bytes, child: int) -> None:
        """Let ``child`` wait for ``parent``; past the bound the oldest wait ends."""
        self.keys += parent
        self.children.append(child)
        if len(self.children) > MAX_WAITING:
            self.drop_first()

    def drop_first(self) -> None:
        """End the oldest wait."""
        del self.keys[:KEY_BYTES]
        self.children.pop(0)

    def take(self, parent: bytes) -> list[int]:
        """The children that waited for ``parent``; they wait no longer."""
        taken = []
        while (at := aligned_find(self.keys, parent)) >= 0:
            taken.append(self.children.pop(at))
            del self.keys[at * KEY_BYTES : (at + 1) * KEY_BYTES]
        return taken


class Irregular:
    """The sparse exceptions of one cascade, created with the first of them.

    ``late``: position -> event time from which a late node is visible. ``undone``: position -> event time from which a
    node is not. ``pending_undos``: key of an event not seen yet -> the same. ``bins``: minute since the epoch at whose
    start the reshares counted become visible -> their number. The dicts ``undone`` and ``bins`` keep the entries
    changed last at their end, which is where a delta finds them.
    """

    __slots__ = (
        "bins",
        "changed_bins",
        "changed_pending",
        "changed_undone",
        "late",
        "pending_undos",
        "undone",
        "waiting",
        "withdrawn_at",
    )

    def __init__(self) -> None:
        self.late: dict[int, float] = {}
        self.undone: dict[int, float] = {}
        self.pending_undos: dict[bytes, float] = {}
        self.bins: dict[int, int] = {}
        self.waiting = WaitingChildren()
        self.withdrawn_at = math.inf
        self.changed_undone = 0
        self.changed_bins = 0
        self.changed_pending = False

    def __len__(self) -> int:
        return len(self.late) + len(self.undone) + len(self.pending_undos) + len(self.bins) + len(self.waiting)

    def undo(self, position: int, at: float) -> None:
        """Record that the node at ``position`` is invisible from ``at`` on."""
        self.undone.pop(position, None)
        self.undone[position] = at
        self.changed_undone += 1

    def await_undo(self, key: bytes, at: float) -> None:
        """Keep the undo of an event that has not been seen; past the bound the oldest is forgotten."""
        self.pending_undos[key] = at
        self.changed_pending = True
        if len(self.pending_undos) > MAX_WAITING:
            del self.pending_undos[next(iter(self.pending_undos))]

    def take_undo(self, key: bytes) -> float | None:
        """When the event with ``key``, which has just arrived, was undone, if it was."""
        at = self.pending_undos.pop(key, None)
        if at is not None:
            self.changed_pending = True
        return at

    def count(self, visible_from: float) -> None:
        """Count a reshare that is not kept."""
        minute = math.floor(visible_from / BIN_SECONDS) + 1
        self.bins[minute] = self.bins.pop(minute, 0) + 1
        self.changed_bins += 1

    def counted(self, as_of: float) -> int:
        """Reshares counted in minutes that were over by ``as_of``."""
        if as_of == math.inf:
            return sum(self.bins.values())
        return sum(count for minute, count in self.bins.items() if minute * BIN_SECONDS <= as_of)

    def earliest_undo(self) -> float:
        """The earliest undo known, +inf without any: the only time there is in a cascade of undos alone."""
        return min(self.withdrawn_at, min(self.pending_undos.values(), default=math.inf))

    def settle(self) -> None:
        """A delta has been taken: from here on, count changes anew."""
        self.changed_undone = self.changed_bins = 0
        self.changed_pending = False
