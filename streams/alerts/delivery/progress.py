"""Which records of a partition are done: a note of some bytes that Kafka keeps beside the committed offset."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Self

MAX_NOTE_BYTES: Final = 4000
"""Kafka takes 4,096 by default (``offset.metadata.max.bytes``)."""

_FORM: Final = "1"


@dataclass(frozen=True, slots=True)
class Note:
    """How far one target is in one partition.

    All records before ``position`` are done, but those at ``undone``. ``keep_from`` is the first record that must be
    heard again after a restart though it is done.
    """

    position: int
    undone: tuple[int, ...] = ()
    keep_from: int | None = None

    @property
    def offset(self) -> int:
        """All before it are done: what a consumer group commits."""
        return min(self.undone, default=self.position)

    @property
    def begin(self) -> int:
        """Where reading goes on."""
        return self.offset if self.keep_from is None else min(self.keep_from, self.offset)

    def is_done(self, offset: int) -> bool:
        """Whether a record needs no delivery any more."""
        return offset < self.position and offset not in self.undone

    def metadata(self) -> str:
        """The note as text. Where it would be too long it ends earlier, and some records are delivered again."""
        undone = sorted(self.undone)
        position = self.position
        while True:
            base = undone[0] if undone else position
            parts = [_FORM, str(position - base), "" if self.keep_from is None else str(base - self.keep_from)]
            text = " ".join([*parts, ",".join(str(offset - base) for offset in undone)])
            if len(text) <= MAX_NOTE_BYTES:
                return text
            position = undone[len(undone) // 2]
            undone = undone[: len(undone) // 2]

    @classmethod
    def read(cls, offset: int, metadata: str) -> Self:
        """What a committed offset and its metadata tell. Metadata of another form tell of nothing beyond the offset."""
        form, *rest = metadata.split(" ")
        if form != _FORM or len(rest) != 3:
            return cls(offset)
        try:
            keep_from = offset - int(rest[1]) if rest[1] else None
            undone = tuple(offset + int(part) for part in rest[2].split(",") if part)
            return cls(offset + int(rest[0]), undone, keep_from)
        except ValueError:
            return cls(offset)


def where_to_go_on(found: Note, end: int, *, from_the_beginning: bool, hear_all: bool) -> Note:
    """Where a target goes on in a partition that ends at ``end``, by the note that was found (offset -1: none).

    A new one begins at the end, or at the beginning; with ``hear_all`` it hears all there is, without delivering it.
    Of a topic that was made anew since, all records are new.
    """
    if found.position > end:
        return Note(0)
    if found.offset >= 0:
        return found
    if from_the_beginning:
        return Note(0)
    return Note(end, keep_from=0 if hear_all else None)


@dataclass(slots=True)
class PartitionProgress:
    """What was read of a partition, and what of it is done."""

    before: Note  # of whoever had the partition
    first: int = 0  # what Kafka still holds begins here
    position: int = field(init=False)  # the next record to be read
    _undone: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.position = max(self.before.begin, self.first)

    def read(self, offset: int) -> bool:
        """Note that a record was read; whether it is to be delivered."""
        self.position = offset + 1
        if self.before.is_done(offset):
            return False
        self._undone.add(offset)
        return True

    def done(self, offset: int) -> None:
        """A record has met its fate."""
        self._undone.discard(offset)

    def note(self, keep_from: int | None) -> Note:
        """How far it is. What the former owner left undone and was not read again yet is undone still."""
        unread = (offset for offset in self.before.undone if offset >= self.position)
        undone = {*self._undone, *unread}
        # As long as not all that is to be heard again has been heard, ``keep_from`` knows only a part.
        is_hearing = self.position < self.before.position
        bounds = (keep_from, self.before.keep_from if is_hearing else None)
        keep_from = min((bound for bound in bounds if bound is not None), default=None)
        return Note(max(self.position, self.before.position), tuple(sorted(undone)), keep_from)
