"""The order of a partition's durable log, told by the keys of its records alone.

A key is (epoch, sequence, owner). Whoever takes a partition over opens an epoch above all it found, under a number of
its own, and goes on counting the records. The key of an epoch's first record also names the record after which it goes
on: the last its owner had read. A reader follows these names back from the newest record. So whatever a former owner
writes late is ignored, and so is an epoch that another worker opened at the same time: with Kafka cut off in the middle
of a rebalance neither may have seen the other's, and each may hold a record that the other lacks.
"""

from __future__ import annotations

import math
import secrets
import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from streams.state.squeezing import damaged

_UNOWNED: Final = struct.Struct(">IQ")
"""Without an owner, as state formats 1 to 3 wrote it. Big-endian: the store's byte order is the log's."""

_OWNED: Final = struct.Struct(">IQI")

_OPENING: Final = struct.Struct(">IQIIQI")
"""The first record of an epoch: its position, and that of the record it goes on from."""

_NOBODY: Final = 0
"""The owner of a record whose key names none."""


class LogPosition(NamedTuple):
    """Where a record lies in the log."""

    epoch: int
    sequence: int
    owner: int = _NOBODY

    def key(self, after: LogPosition | None = None) -> bytes:
        """The record's key; with ``after`` that of an epoch's first record, which goes on from there."""
        if after is not None:
            return _OPENING.pack(*self, *after)
        return _UNOWNED.pack(*self[:2]) if self.owner == _NOBODY else _OWNED.pack(*self)


@dataclass(frozen=True, slots=True)
class LogRecord:
    """A record of the log."""

    position: LogPosition
    after: LogPosition | None  # of an epoch's first record: the one it goes on from
    key: bytes
    value: bytes


def number_of(key: bytes) -> int:
    """Of a record of the log, by its key: its sequence, which goes on through all epochs."""
    number: int = _UNOWNED.unpack_from(key)[1]
    return number


def new_owner() -> int:
    """A number that no other owner has, but for one chance in four billion."""
    return 1 + secrets.randbelow((1 << 32) - 1)


def in_order(items: Iterable[tuple[bytes, bytes]]) -> list[LogRecord]:
    """The records that count, oldest first. Raises StateError for a key that is none, and where one is missing between
    others: whole cascades may have been in it and nowhere else."""
    found = sorted((_read(key, value) for key, value in items), key=lambda record: record.position)
    epochs: defaultdict[tuple[int, int], list[LogRecord]] = defaultdict(list)
    for record in found:
        epochs[record.position.epoch, record.position.owner].append(record)
    parts: list[Sequence[LogRecord]] = []
    last = found[-1].position if found else None
    while last is not None:
        if last.owner == _NOBODY:
            unowned = [one for one in found if one.position.owner == _NOBODY and one.position <= last]
            parts.append(list(_by_number_alone(unowned)))
            break
        part = [one for one in epochs[last.epoch, last.owner] if one.position <= last]
        _must_be_whole(part, last)
        parts.append(part)
        # Cleaning takes the oldest first: where an epoch's first record is gone, so is all before it.
        last = part[0].after if part else None
    return [record for part in reversed(parts) for record in part]


def _must_be_whole(part: Sequence[LogRecord], last: LogPosition) -> None:
    """An owner counts its records one by one, and cleaning takes the oldest: up to ``last`` no number is left out."""
    if part and len(part) != (wanted := last.sequence - part[0].position.sequence + 1):
        raise damaged(f"{wanted - len(part)} of the records of epoch {last.epoch} are missing between others")


def _by_number_alone(found: Sequence[LogRecord]) -> Iterator[LogRecord]:
    """Records without owners: a write at or above the sequence at which a later epoch began came late."""
    first_of_later = math.inf
    kept: list[LogRecord] = []
    epoch_of_last: int | None = None
    start_of_epoch = math.inf
    for record in reversed(found):
        if record.position.epoch != epoch_of_last:
            first_of_later = min(first_of_later, start_of_epoch)
            epoch_of_last = record.position.epoch
        start_of_epoch = record.position.sequence
        if start_of_epoch < first_of_later:
            kept.append(record)
    return reversed(kept)


def _read(key: bytes, value: bytes) -> LogRecord:
    if len(key) == _UNOWNED.size:
        return LogRecord(LogPosition(*_UNOWNED.unpack(key)), None, key, value)
    if len(key) == _OWNED.size:
        return LogRecord(LogPosition(*_OWNED.unpack(key)), None, key, value)
    if len(key) != _OPENING.size:
        sizes = f"{_UNOWNED.size}, {_OWNED.size} or {_OPENING.size}"
        raise damaged(f"its key has {len(key)} bytes, not {sizes}")
    numbers = _OPENING.unpack(key)
    position, after = LogPosition(*numbers[:3]), LogPosition(*numbers[3:])
    if after.epoch >= position.epoch:
        raise damaged(f"epoch {position.epoch} goes on from epoch {after.epoch}")
    return LogRecord(position, after, key, value)
