"""Which partition a key belongs to: Kafka's own hash, so that a run over a file parts cascades as Kafka does."""

from __future__ import annotations

from typing import Final

SEED: Final = 0x9747B28C
MULTIPLIER: Final = 0x5BD1E995
MASK: Final = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """32-bit MurmurHash2 (Appleby 2008) with the seed of Kafka's ``Utils.murmur2``, unsigned.

    >>> murmur2(b"21")
    3321034988
    """
    length = len(data)
    h = SEED ^ length
    whole = length & ~3
    for at in range(0, whole, 4):
        k = int.from_bytes(data[at : at + 4], "little") * MULTIPLIER & MASK
        k = (k ^ k >> 24) * MULTIPLIER & MASK
        h = h * MULTIPLIER & MASK ^ k
    if length != whole:
        h = (h ^ int.from_bytes(data[whole:], "little")) * MULTIPLIER & MASK
    h = (h ^ h >> 13) * MULTIPLIER & MASK
    return h ^ h >> 15


def partition_of(cascade: str, partitions: int) -> int:
    """The partition of the events topic on which Kafka's default partitioner puts a cascade."""
    return (murmur2(cascade.encode("utf-8", "surrogatepass")) & 0x7FFFFFFF) % partitions
