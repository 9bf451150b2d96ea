"""Where the segments of a partition's log are kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol


class SegmentStore(Protocol):
    """Where segments are kept; a write has returned once it is durable."""

    def items(self) -> Iterable[tuple[bytes, bytes]]:
        """All segments, in any order."""

    def get(self, key: bytes) -> bytes | None:
        """One segment."""

    def newest_key(self) -> bytes | None:
        """The greatest key there is."""

    async def put(self, key: bytes, value: bytes) -> None:
        """Write one segment."""

    async def delete(self, key: bytes) -> None:
        """Forget one segment."""

    def distrust(self) -> None:
        """What is here is damaged: make it anew from elsewhere at the next start, if that was not done already."""

    def trust(self) -> None:
        """What is here is whole."""

    def is_all_there_is(self) -> bool:
        """Whether no other copy holds more: this is the only one, or was made anew from that."""


class MemorySegmentStore:
    """Segments in a dictionary: for reading a log that came from elsewhere, and for tests."""

    def __init__(self, segments: Mapping[bytes, bytes] | None = None) -> None:
        self.segments = dict(segments or {})

    def items(self) -> Iterable[tuple[bytes, bytes]]:
        """All segments."""
        return self.segments.items()

    def get(self, key: bytes) -> bytes | None:
        """One segment."""
        return self.segments.get(key)

    def newest_key(self) -> bytes | None:
        """The greatest key there is."""
        return max(self.segments, default=None)

    async def put(self, key: bytes, value: bytes) -> None:
        """Write one segment."""
        self.segments[key] = value

    async def delete(self, key: bytes) -> None:
        """Forget one segment."""
        self.segments.pop(key, None)

    def distrust(self) -> None:
        """There is no other copy."""

    def trust(self) -> None:
        """There is no other copy."""

    def is_all_there_is(self) -> bool:
        """There is no other copy."""
        return True
