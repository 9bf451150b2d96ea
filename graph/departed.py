"""The cascades that left memory, so that a straggler among their events does not start them anew."""

from __future__ import annotations

from graph.identity import HashIndex, aligned_find


class Departed:
    """A bounded set of eight-byte keys that forgets its oldest half when it is full: some 12 bytes a key."""

    __slots__ = ("_generations", "_half")

    def __init__(self, capacity: int) -> None:
        self._half = max(1, capacity // 2)
        self._generations = [_Generation()]  # the older one, if any, first

    def __len__(self) -> int:
        return sum(len(generation.keys) >> 3 for generation in self._generations)

    def __contains__(self, key: bytes) -> bool:
        return any(key in generation for generation in self._generations)

    def add(self, key: bytes) -> None:
        """Remember ``key``; it may be known already."""
        if len(self._generations[-1].keys) >> 3 >= self._half:
            self._generations = [self._generations[-1], _Generation()]
        self._generations[-1].add(key)


class _Generation:
    __slots__ = ("index", "keys")

    def __init__(self) -> None:
        self.keys = bytearray()
        self.index: HashIndex | None = None

    def __contains__(self, key: bytes) -> bool:
        if self.index is None:
            return aligned_find(self.keys, key) >= 0
        return self.index.find(self.keys, key) >= 0

    def add(self, key: bytes) -> None:
        self.keys += key
        if self.index is not None:
            self.index.add(self.keys, key)
        elif len(self.keys) >= 1024:
            self.index = HashIndex(self.keys)
