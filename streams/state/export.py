"""List the cascades of the durable state, read from its changelog in Kafka as a recovering worker would."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from streams.engine.partition import Partition
from streams.settings import Settings
from streams.state.changelog import StoredSegment, changelog_reader
from streams.state.log import SegmentLog
from streams.state.store import MemorySegmentStore


class CascadeState(msgspec.Struct, frozen=True):
    """What the state holds of one live cascade."""

    cascade: str
    partition: int
    size: int
    depth: int
    users: int
    nodes: int
    root_time: float
    last_time: float
    rooted: bool


def load_partition(
    held: Mapping[bytes, StoredSegment], number: int, settings: Settings
) -> tuple[Partition, SegmentLog]:
    """A partition as a recovering worker would have it, and the log it was read from. Raises StateError."""
    partition = Partition(number, settings)
    log = SegmentLog(MemorySegmentStore({key: segment.value for key, segment in held.items()}))
    log.load(partition)
    return partition, log


def export_state(settings: Settings) -> Iterator[CascadeState]:
    """Every live cascade in the changelog of ``settings.app_id``, partition by partition.

    Raises UserError when Kafka or the changelog is not there.
    """
    with changelog_reader(settings) as reader:
        numbers = reader.partitions()
        settings = settings.of_partitions(len(numbers))
        for number in numbers:
            partition, _ = load_partition(reader.segments(number), number, settings)
            for cascade in sorted(partition.store, key=lambda cascade: cascade.id):
                yield CascadeState(
                    cascade=cascade.id,
                    partition=number,
                    size=cascade.size,
                    depth=cascade.depth,
                    users=cascade.users,
                    nodes=cascade.nodes,
                    root_time=cascade.root_time,
                    last_time=cascade.last_time,
                    rooted=cascade.has_root,
                )
