"""A live cascade that nobody has looked at since it was restored: its durable form, and what tells when it leaves.

A worker that starts has a million cascades to restore, and of most the next event is hours away. So a cascade about
which nothing is irregular sleeps on as the bytes of one chunk, until its next event, a forecast, or its end.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from graph import delta
from graph.cascade import MAX_EVENTS, Cascade


class Dormant(msgspec.Struct, eq=False, gc=False):
    """A cascade of which one whole chunk tells everything, and nothing irregular (`graph.irregular`)."""

    id: str
    chunk: bytes
    root_time: float
    """When the post was published (s); without it, the earliest time known."""
    memory_bytes: int
    """What `Cascade.memory_bytes` says once it is awake: bounds on memory hold for what it may become any moment."""
    stored: Any = None
    """See `Cascade.stored`."""

    @property
    def size(self) -> int:
        """Popularity."""
        return delta.told_by(self.chunk).size

    @property
    def last_time(self) -> float:
        """Latest time of the root and its reactions (s)."""
        return delta.told_by(self.chunk).last_time

    @property
    def withdrawn_at(self) -> float:
        """Never: a post that was taken back is irregular."""
        return math.inf

    def wake(self, *, max_events: int = MAX_EVENTS) -> Cascade:
        """The cascade."""
        cascade = Cascade(self.id, max_events=max_events)
        cascade.absorb(self.chunk)
        cascade.stored = self.stored
        return cascade
