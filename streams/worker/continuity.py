"""No record of a partition is passed over: what arrives is held against where the durable state ends.

Around a rebalance Faust may drop records it had fetched and go on behind them, and then commits over the gap. The
state's own position is the truth: a record beyond it means that some are missing, so they are asked for again, and
whatever comes of the old flow until they do is left out (it will come again, in its turn). However long they do not
come, a gap is believed on Kafka's own word alone: records it no longer has, or the marks of transactions. Where there
is one there are more, so they are then believed, until the next rebalance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from streams.engine.raw_record import Record

ASK_AGAIN_SECONDS: Final = 2.0
"""A fetch under way may undo a rewind; it is over within this time, and the next rewind holds."""

ASKS_AT_REST: Final = 5
"""So often what may lie before the end of a partition is asked for while nothing comes."""


class Continuity:
    """Where one partition's records go on. ``position`` is the offset expected next."""

    def __init__(self, position: int) -> None:
        self.position = position
        self.left_out = 0
        self.missing = 0  # offsets that Kafka itself does not have
        self._rewound_at: float | None = None
        self._highest = -1
        self._has_own_gaps = False
        self._rested_at = (-1, -1)
        self._rests = 0

    def admit(self, records: Sequence[Record], now: float) -> tuple[list[Record], int | None]:
        """The records that may be applied, and the offset to rewind to if some are missing before the rest.

        Records before the position (repeats) are admitted: they are known by their events' ids. ``now`` is
        monotonic time.
        """
        if self._follows(records):
            self.position = records[-1].offset + 1
            return list(records), None
        admitted: list[Record] = []
        rewind: int | None = None
        for record in records:
            if self._rewound_at is not None and record.offset > self._highest:
                self._highest = record.offset  # of the old flow still
                self.left_out += 1
            elif record.offset > self.position and not self._has_own_gaps:
                self._highest = max(self._highest, record.offset)
                self.left_out += 1
                if self._rewound_at is None or now - self._rewound_at >= ASK_AGAIN_SECONDS:
                    self._rewound_at = now
                    rewind = self.position
            else:
                self.missing += max(0, record.offset - self.position)
                self._rewound_at, self._highest = None, -1
                self.position = max(self.position, record.offset + 1)
                admitted.append(record)
        return admitted, rewind if self._rewound_at is not None else None

    def _follows(self, records: Sequence[Record]) -> bool:
        """Whether nothing is being asked for again and the records, of ascending offsets, leave none out."""
        return (
            bool(records)
            and self._rewound_at is None
            and records[0].offset == self.position
            and records[-1].offset - self.position == len(records) - 1
            and all(record.offset == at for at, record in enumerate(records, self.position))
        )

    def goes_on_at(self, offset: int) -> None:
        """Kafka says that this is the first record there is, from the position on."""
        if offset > self.position:
            self.missing += offset - self.position
            self.position = offset
            self._has_own_gaps = True

    def after_rebalance(self) -> None:
        """Suspect every gap again."""
        self._has_own_gaps = False

    def rewind_due(self, now: float) -> int | None:
        """The offset to ask for again, if the records asked for have not come."""
        if self._rewound_at is None or now - self._rewound_at < ASK_AGAIN_SECONDS:
            return None
        self._rewound_at = now
        return self.position

    def rewind_at_rest(self, end: int) -> int | None:
        """The offset to ask for when no record comes although Kafka holds some up to ``end``.

        Asked a few times for the same end: what is there may be the mark of a transaction, which is no record.
        """
        if end <= self.position:
            return None
        if (self.position, end) != self._rested_at:
            self._rested_at, self._rests = (self.position, end), 0
        self._rests += 1
        return self.position if self._rests <= ASKS_AT_REST else None
