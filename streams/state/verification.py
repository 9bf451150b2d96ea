"""Recompute from the events what the durable state must be, and compare cascade by cascade.

A segment says up to which offset of the events topic the state goes. So the state as the changelog holds it at one
moment, beside workers that run on, is compared with what the records before that offset make.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

import msgspec
from confluent_kafka import Message

from graph import Cascade
from streams.engine.partition import Partition
from streams.engine.raw_record import Record
from streams.kafka.control_records import read_control
from streams.settings import Settings
from streams.state.changelog import ChangelogReader, changelog_reader
from streams.state.export import load_partition

BATCH_RECORDS = 2000

_FACTS = ("size", "depth", "users", "nodes", "binned", "root_time", "last_time", "withdrawn_at")


class Difference(msgspec.Struct, frozen=True):
    """A cascade whose state is not what its events make. ``state`` or ``events`` is None where it is not there."""

    cascade: str
    partition: int
    state: dict[str, float] | None
    events: dict[str, float] | None


class PartitionVerdict(msgspec.Struct, frozen=True):
    """What came of one partition."""

    partition: int
    next_offset: int  # the state goes up to here
    first_offset: int  # the events that Kafka still holds begin here
    records: int  # read
    cascades: int  # in the state
    equal: int
    beyond_retention: int  # not comparable: their post, and maybe more, has been removed from the events topic
    evicted: int  # not in the state, having left before their time: more cascades were live than there is room for
    differences: list[Difference]


class _Recomputed:
    """What the events make, of a partition whose forecasts are all out at once."""

    def __init__(self, partition: Partition, stored: Partition, left_until: float) -> None:
        self._partition = partition
        self._stored = stored
        self._left_until = left_until
        self._left: dict[str, Cascade] = {}  # what the state may or must still tell of

    def apply(self, batch: list[Record]) -> None:
        """What was let go here and may be live in the state is remembered as it was: no event changes it any more."""
        changes = self._partition.apply_records(batch, check_keys=True)
        self._partition.schedule.due(self._partition.watermark.value)
        self._left |= {
            cascade.id: cascade
            for cascade in changes.departed
            if cascade.id in self._stored.store or self._must_live(cascade)
        }

    def get(self, cascade_id: str) -> Cascade | None:
        """A cascade that is live, or was."""
        return self._partition.store.get(cascade_id) or self._left.get(cascade_id)

    def missing(self) -> list[Cascade]:
        """Those that the state should tell of and does not."""
        return [
            cascade
            for cascade in (*self._partition.store, *self._left.values())
            if cascade.id not in self._stored.store and self._must_live(cascade)
        ]

    def _must_live(self, cascade: Cascade) -> bool:
        return self._partition.store.leaves_at(cascade) >= self._left_until


def verify_state(
    settings: Settings, progress: Callable[[int], None] = lambda records: None
) -> Iterator[PartitionVerdict]:
    """Verdicts, partition by partition; ``settings`` must be the workers'. ``progress`` hears of records read.

    Raises UserError when Kafka, the changelog or the events topic is not there.
    """
    with changelog_reader(settings) as reader:
        numbers = reader.partitions()
        for number in numbers:
            yield _verify(reader, number, settings.of_partitions(len(numbers)), progress)


def _verify(
    reader: ChangelogReader, number: int, settings: Settings, progress: Callable[[int], None]
) -> PartitionVerdict:
    topic = f"{settings.topic_prefix}.events"
    first, _ = reader.offsets(topic, number)
    stored, log = load_partition(reader.segments(number), number, settings)
    made = _Recomputed(Partition(number, settings), stored, log.left_until)
    read = 0
    if log.next_offset > first:
        records = map(_record, reader.records(topic, number, log.next_offset))
        while batch := list(islice(records, BATCH_RECORDS)):
            made.apply(batch)
            read += len(batch)
            progress(len(batch))
    equal = beyond = 0
    differences = []
    for cascade in sorted(stored.store, key=lambda cascade: cascade.id):
        twin = made.get(cascade.id)
        if twin is not None and _facts(twin) == _facts(cascade):
            equal += 1
        elif first > 0 and (twin is None or not twin.has_root):
            beyond += 1
        else:
            differences.append(Difference(cascade.id, number, _facts(cascade), None if twin is None else _facts(twin)))
    missing = made.missing()
    evicted = sum(stored.store.has_departed(twin.id) for twin in missing)
    differences += [
        Difference(twin.id, number, None, _facts(twin)) for twin in missing if not stored.store.has_departed(twin.id)
    ]
    return PartitionVerdict(
        number, log.next_offset, first, read, len(stored.store), equal, beyond, evicted, differences
    )


def _record(message: Message) -> Record:
    said = read_control(message.headers())
    value, offset = message.value() or b"", message.offset() or 0
    return Record(value, message.key(), said.watermark, offset, heartbeat=said.heartbeat)


def _facts(cascade: Cascade) -> dict[str, float]:
    return {name: getattr(cascade, name) for name in _FACTS}
