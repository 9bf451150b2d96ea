"""A segment that is too large for one record of Kafka lies in several, and counts only if they are all there.

A crash between them leaves the first ones, and one while cleaning the last ones: either are passed over.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

MAX_PART_BYTES: Final = 900_000
"""Of a record's value: Kafka takes a million bytes by default, its own framing included."""

_MARK: Final = b"\x03"
"""The first byte of a part; a whole segment begins with another (`streams.segments`)."""

_HEADER: Final = struct.Struct(">cII")  # mark, number of the part, number of parts


@dataclass(frozen=True, slots=True)
class Stored:
    """A segment as it lies in the log; ``value`` None: parts of one that is not all there."""

    epoch: int
    sequence: int  # of the first record
    records: int
    stored_bytes: int
    value: bytes | None


def split(value: bytes) -> list[bytes]:
    """The records' values for a packed segment, in order."""
    if len(value) <= MAX_PART_BYTES:
        return [value]
    slices = [value[at : at + MAX_PART_BYTES] for at in range(0, len(value), MAX_PART_BYTES)]
    return [_HEADER.pack(_MARK, number, len(slices)) + piece for number, piece in enumerate(slices)]


def joined(records: Iterable[tuple[int, int, bytes]]) -> Iterator[Stored]:
    """The segments of a log's records, given as (epoch, sequence, value) in order."""
    held: list[tuple[int, int, bytes]] = []
    for epoch, sequence, value in records:
        number, count = _part(value)
        if held and (number != len(held) or (epoch, sequence) != (held[-1][0], held[-1][1] + 1)):
            yield _incomplete(held)
            held = []
        if count == 1:
            yield Stored(epoch, sequence, 1, len(value), value)
        elif number != len(held):
            yield _incomplete([(epoch, sequence, value)])
        else:
            held.append((epoch, sequence, value))
            if len(held) == count:
                yield _complete(held)
                held = []
    if held:
        yield _incomplete(held)


def _part(value: bytes) -> tuple[int, int]:
    """Number of the part, and how many there are; (0, 1) for a segment that is whole, or too short to tell."""
    if value[:1] != _MARK or len(value) < _HEADER.size:
        return 0, 1
    _, number, count = _HEADER.unpack_from(value)
    return number, count


def _complete(held: list[tuple[int, int, bytes]]) -> Stored:
    value = b"".join(value[_HEADER.size :] for _, _, value in held)
    return Stored(held[0][0], held[0][1], len(held), sum(len(one[-1]) for one in held), value)


def _incomplete(held: list[tuple[int, int, bytes]]) -> Stored:
    return Stored(held[0][0], held[0][1], len(held), sum(len(one[-1]) for one in held), None)
