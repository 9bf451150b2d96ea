"""A segment that is too large for one record of Kafka lies in several, and counts only if they are all there.

A crash between them leaves the first ones, and one while cleaning the last ones: either are passed over.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from streams.state.keys import LogPosition, LogRecord

MAX_PART_BYTES: Final = 900_000
"""Of a record's value: Kafka takes a million bytes by default, its own framing included."""

_MARK: Final = b"\x03"
"""The first byte of a part; a whole segment begins with another (`streams.state.segments`)."""

_HEADER: Final = struct.Struct(">cII")  # mark, number of the part, number of parts


@dataclass(frozen=True, slots=True)
class Stored:
    """A segment as it lies in the log; ``value`` None: parts of one that is not all there."""

    position: LogPosition  # of the first record
    keys: list[bytes]
    stored_bytes: int
    value: bytes | None


def split(value: bytes) -> list[bytes]:
    """The records' values for a packed segment, in order."""
    if len(value) <= MAX_PART_BYTES:
        return [value]
    slices = [value[at : at + MAX_PART_BYTES] for at in range(0, len(value), MAX_PART_BYTES)]
    return [_HEADER.pack(_MARK, number, len(slices)) + piece for number, piece in enumerate(slices)]


def whole(values: Sequence[bytes]) -> bytes | None:
    """A packed segment from its records' values; None where some are missing."""
    parts = [_part(value) for value in values]
    if parts == [(0, 1)]:
        return values[0]
    if parts != [(number, parts[0][1]) for number in range(parts[0][1])]:
        return None
    return b"".join(value[_HEADER.size :] for value in values)


def joined(records: Iterable[LogRecord]) -> Iterator[Stored]:
    """The segments of a log's records, given in order."""
    held: list[LogRecord] = []
    for record in records:
        number, count = _part(record.value)
        if held and (number != len(held) or not _follows(record.position, held[-1].position)):
            yield _stored(held)
            held = []
        held.append(record)
        if number != len(held) - 1 or number == count - 1:
            yield _stored(held)
            held = []
    if held:
        yield _stored(held)


def _follows(position: LogPosition, previous: LogPosition) -> bool:
    return position == previous._replace(sequence=previous.sequence + 1)


def _part(value: bytes) -> tuple[int, int]:
    """Number of the part, and how many there are; (0, 1) for a segment that is whole, or too short to tell."""
    if value[:1] != _MARK or len(value) < _HEADER.size:
        return 0, 1
    _, number, count = _HEADER.unpack_from(value)
    return number, count


def _stored(held: Sequence[LogRecord]) -> Stored:
    values = [record.value for record in held]
    return Stored(held[0].position, [record.key for record in held], sum(map(len, values)), whole(values))
