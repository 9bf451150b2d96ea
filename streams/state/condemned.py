"""Segments that were cleaned, and wait until nobody can count on them.

What is still needed of them is durable in a later segment by then. But whoever opened an epoch before that was there
goes on from the earlier ones: a worker that was paused and wakes while it cleans would delete what the present owner
needs. So they go only once the group has accepted a commit of an offset beyond: it accepts none of a worker that it has
given up, and a later owner reads the later segment too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple


class Cleaned(NamedTuple):
    """One segment."""

    next_offset: int  # of the state that held what was needed of it elsewhere
    keys: list[bytes]
    stored_bytes: int


class Condemned:
    """Those of one log, in the order in which they were cleaned."""

    def __init__(self, *, at_once: bool) -> None:
        """``at_once``: nobody else can own the log."""
        self._at_once = at_once
        self._waiting: deque[Cleaned] = deque()
        self._committed = -1
        self.stored_bytes = 0

    def add(self, segment: Cleaned) -> None:
        """One more was cleaned."""
        self._waiting.append(segment)
        self.stored_bytes += segment.stored_bytes

    def committed(self, next_offset: int) -> None:
        """The group has accepted this offset from us, since we own the log."""
        self._committed = next_offset

    def take(self, most_bytes: float) -> Iterator[Cleaned]:
        """Those to be deleted now. Where no commit comes, as can be after a rewind, not more than ``most_bytes`` wait:
        a log must not grow without bounds."""
        while self._waiting and (
            self._at_once or self._waiting[0].next_offset < self._committed or self.stored_bytes > most_bytes
        ):
            segment = self._waiting.popleft()
            self.stored_bytes -= segment.stored_bytes
            yield segment
