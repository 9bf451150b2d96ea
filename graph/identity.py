"""Who is who in 64 bits: hashes of ids and users, and the index from an id's hash to its place in a cascade.

Ids are hashed with XXH3 (64 bits, seed 0: stable across processes and machines, as stored state must be). Two of the
ten million ids of a busy day collide within one cascade with a probability below 1e-7; such a pair would be taken for a
duplicate. XXH3 keeps no secret, so whoever chooses ids can make two of them collide: the price is the second event,
which is his own unless he knew another's id before it was published.

Chosen ids cannot make the index slow either: a key's slot is its product with a number that every process draws anew
(multiply-shift hashing, Dietzfelbinger et al. 1997), so nobody can know which keys share one. Slots decide nothing but
the time a search takes.
"""

from __future__ import annotations

import secrets
from array import array
from typing import Final

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_digest, xxh3_64_intdigest

KEY_BYTES: Final = 8
UNKNOWN_USER: Final = bytes(KEY_BYTES)

SCAN_NODES: Final = 256
"""Up to so many ids a scan (at most 0.7 us) costs no more than an index, and no memory."""

_MULTIPLIER: Final = secrets.randbits(64) | 1
_WORD: Final = (1 << 64) - 1

_MAX_LOAD: Final = 0.8
"""Linear probing still finds an absent key in 13 probes at this load; the mean load over a doubling is 0.6."""


def key_of(text: str) -> bytes:
    """The eight big-endian bytes of the XXH3 hash of an id or user (big-endian: bytes order as the numbers do)."""
    return xxh3_64_digest(text.encode())


def hash_of(text: str) -> int:
    """The same hash as an unsigned number, as the arrays of a `CascadeView` hold it.

    >>> hash_of("a") == int.from_bytes(key_of("a"), "big")
    True
    """
    return xxh3_64_intdigest(text.encode())


def aligned_find(keys: bytearray, key: bytes) -> int:
    """Position of ``key`` among the concatenated eight-byte ``keys``, or -1: a scan, fastest while they are few."""
    at = keys.find(key)
    while at > 0 and at & 7:
        at = keys.find(key, at + 1)
    return at >> 3


class HashIndex:
    """Open-addressing index over concatenated eight-byte keys that live elsewhere: 2 to 5 bytes a key.

    The table holds positions plus one (0 is free) and is sized by powers of two. Positions up to 65,534 take two bytes.
    """

    __slots__ = ("_limit", "_mask", "_shift", "_table")

    def __init__(self, keys: bytearray) -> None:
        self._rebuild(keys)

    def find(self, keys: bytearray, key: bytes) -> int:
        """Position of ``key``, or -1."""
        table, mask = self._table, self._mask
        slot = (int.from_bytes(key, "big") * _MULTIPLIER & _WORD) >> self._shift
        while position := table[slot]:
            start = (position << 3) - 8
            if keys[start : start + 8] == key:
                return position - 1
            slot = (slot + 1) & mask
        return -1

    def add(self, keys: bytearray, key: bytes) -> None:
        """Index ``key``, which was just appended to ``keys``."""
        position = len(keys) >> 3
        if position > self._limit:
            self._rebuild(keys)
            return
        table, mask = self._table, self._mask
        slot = (int.from_bytes(key, "big") * _MULTIPLIER & _WORD) >> self._shift
        while table[slot]:
            slot = (slot + 1) & mask
        table[slot] = position

    def _rebuild(self, keys: bytearray) -> None:
        count = len(keys) >> 3
        size = 256
        while size * _MAX_LOAD <= count:
            size *= 2
        self._mask = size - 1
        self._shift = 65 - size.bit_length()  # the product's highest bits: as many as number the slots
        self._limit = min(int(size * _MAX_LOAD), 0xFFFF) if count <= 0xFFFF else int(size * _MAX_LOAD)
        table = _placed(np.frombuffer(keys, ">u8").astype(np.uint64), size)
        self._table = array("H" if count <= 0xFFFF else "I", bytes(0))
        self._table.frombytes(table.astype(self._table.typecode).tobytes())


def _placed(hashes: NDArray[np.uint64], size: int) -> NDArray[np.uint32]:
    """A table of ``size`` slots with every hash at or after its home slot, no free slot in between; positions from 1.

    Vectorised linear probing: all pending keys knock at once, one a slot gets in, the others move on a slot.
    """
    table = np.zeros(size, np.uint32)
    positions = np.arange(1, len(hashes) + 1, dtype=np.uint32)
    slots = (hashes * np.uint64(_MULTIPLIER) >> np.uint64(65 - size.bit_length())).astype(np.int64)
    while positions.size:
        free = table[slots] == 0
        table[slots[free]] = positions[free]
        waiting = table[slots] != positions
        positions, slots = positions[waiting], (slots[waiting] + 1) & (size - 1)
    return table
