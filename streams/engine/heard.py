"""Which records of a partition are part of its state already."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streams.engine.raw_record import Record


@dataclass(frozen=True, slots=True)
class Heard:
    """How far the records of a partition are part of its state.

    After a crash some come again. Ids tell most of them, but not what was late, what is only counted, or that they have
    testified to the time; so the offset tells. Offsets begin anew when the topic does: then the broker's time is later.
    """

    next_offset: int = -1
    until: float = -math.inf  # latest broker time, seconds

    def has(self, record: Record) -> bool:
        """Whether the record's effect is in the state."""
        return 0 <= record.offset < self.next_offset and not record.timestamp > self.until

    def is_before(self, records: Sequence[Record]) -> bool:
        """Whether the records, in order of their offsets, all come after those whose effect is in the state."""
        return bool(records) and records[0].offset >= max(0, self.next_offset)

    def with_new(self, records: Sequence[Record]) -> Heard:
        """After further ones for which `is_before` holds, as `with_record` says of one after the other."""
        until = self.until
        for record in records:
            if record.timestamp > until:
                until = record.timestamp
        return Heard(records[-1].offset + 1, until)

    def with_record(self, record: Record) -> Heard:
        """After one more."""
        if record.offset < 0:
            return self
        anew = record.offset < self.next_offset and not self.has(record)
        until = record.timestamp if record.timestamp > self.until else self.until
        return Heard(record.offset + 1 if anew else max(self.next_offset, record.offset + 1), until)
