"""What the durable state holds of one cascade, and where in the log it lies."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from graph.errors import UserError
from streams.kafka.partitioner import partition_of
from streams.settings import Settings
from streams.state.changelog import StoredSegment, changelog_reader
from streams.state.export import load_partition
from streams.state.keys import in_order
from streams.state.parts import joined
from streams.state.segments import unpack


class WaitingForecast(msgspec.Struct, frozen=True):
    """A forecast that is still to be made, once the watermark has passed ``as_of``."""

    as_of: float
    event: str


class KeptForecast(msgspec.Struct, frozen=True):
    """A forecast that is kept until ``matures``, to be scored then."""

    as_of: float
    matures: float
    observed: int
    models: tuple[str, ...]


class Place(msgspec.Struct, frozen=True):
    """A segment of the changelog that holds a part of the cascade."""

    offset: int
    epoch: int
    sequence: int
    chunks: int
    bytes: int


class Inspection(msgspec.Struct, frozen=True):
    """Everything of one cascade. Times are event times (s)."""

    cascade: str
    partition: int
    next_offset: int  # the state includes the records of the events topic before it
    watermark: float
    size: int
    depth: int
    users: int
    nodes: int
    binned: int
    rooted: bool
    root_time: float
    last_time: float
    age_seconds: float  # of the post, at the watermark
    leaves_at: float  # when the watermark passes it, the cascade leaves
    withdrawn_at: float | None
    waiting: list[WaitingForecast]
    kept: list[KeptForecast]
    places: list[Place]


def inspect_cascade(settings: Settings, cascade_id: str) -> Inspection:
    """Read the partition of a cascade from the changelog and tell what is stored of it.

    Raises UserError when it is not there, saying whether it has left.
    """
    with changelog_reader(settings) as reader:
        partitions = reader.partitions()
        number = partition_of(cascade_id, len(partitions))
        held = reader.segments(number)
    partition, log = load_partition(held, number, settings.of_partitions(len(partitions)))
    cascade = partition.store.get(cascade_id)
    if cascade is None:
        raise UserError(
            f"no cascade {cascade_id!r} in the state of app id {settings.app_id!r} (partition {number} of "
            f"{len(partitions)}, up to offset {log.next_offset}): "
            + (
                "it has left, being older than the horizon and the grace after it"
                if partition.store.has_departed(cascade_id)
                else "no event of it has come; look for its id in cascadecast state export"
            )
        )
    watermark = partition.watermark.value
    return Inspection(
        cascade=cascade_id,
        partition=number,
        next_offset=log.next_offset,
        watermark=watermark,
        size=cascade.size,
        depth=cascade.depth,
        users=cascade.users,
        nodes=cascade.nodes,
        binned=cascade.binned,
        rooted=cascade.has_root,
        root_time=cascade.root_time,
        last_time=cascade.last_time,
        age_seconds=watermark - cascade.root_time,
        leaves_at=partition.store.leaves_at(cascade),
        withdrawn_at=cascade.withdrawn_at if math.isfinite(cascade.withdrawn_at) else None,
        waiting=[
            WaitingForecast(waiting.as_of, waiting.event)
            for waiting in partition.schedule.all_pending()
            if waiting.cascade == cascade_id
        ],
        kept=[
            KeptForecast(kept.as_of, kept.matures, kept.observed, kept.panel.models)
            for kept in partition.learner.kept_of(cascade_id)
        ],
        places=_places(cascade_id, held),
    )


def _places(cascade_id: str, held: Mapping[bytes, StoredSegment]) -> list[Place]:
    places: list[Place] = []
    for stored in joined(in_order((key, segment.value) for key, segment in held.items())):
        if stored.value is None:
            continue
        chunks = list(unpack(stored.value).chunks.where(lambda cascade, _: cascade == cascade_id))
        if chunks:
            offset = held[stored.keys[0]].offset
            bytes_ = sum(len(chunk.data) for chunk in chunks)
            places.append(Place(offset, stored.position.epoch, stored.position.sequence, len(chunks), bytes_))
    return places
