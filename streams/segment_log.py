"""The durable state of a partition: an append-only log of delta segments, one a micro-batch.

A table write costs hundreds of microseconds and sends its whole value, so the unit of a durable write is the batch: a
segment holds what each touched cascade gained (a *chunk*), which cascades left, the forecasts still to be made, those
kept for scoring, and what was learned. Reading all segments in order gives the state back. The log is circular: once
more is stored than twice what live cascades need, the oldest segment goes; what in it is still needed is written again,
at the head.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from graph import Cascade
from streams.heard import Heard
from streams.kept import UNKNOWN, Kept
from streams.learned import Learned
from streams.learning import NOTHING
from streams.partition import Changes, Partition
from streams.schedule import Pending
from streams.segment_store import SegmentStore
from streams.segments import KEY, STATE_VERSION, Chunk, Segment, StateError, in_order, pack, unpack

LIFE: Final = 1 << 24
"""Chunks one life of a cascade may have: one a batch, so years of them."""

GARBAGE_FACTOR: Final = 2.0
"""Stored bytes over needed bytes at which cleaning begins: at most every byte is written twice on average."""

MINIMUM_CLEANING_BYTES: Final = 4 * 1024 * 1024
"""A log below this is not worth cleaning: recovery reads it in milliseconds."""

MAX_CLEANED_PER_WRITE: Final = 8
"""Segments reclaimed for each one written: cleaning keeps up with any rate without a pause of its own."""

DEPARTED_MEMORY_SECONDS: Final = 7 * 86_400.0
"""A cascade that left is remembered for a week of event time, so that a straggler does not start it anew."""


CHUNK_FRAMING_BYTES: Final = 16
"""Of a chunk in a segment, beside its data and its cascade's id."""


@dataclass(slots=True)
class _Footprint:
    """What a live cascade occupies in the log: its chunks have the indexes first_index..next_index - 1."""

    first_index: int
    next_index: int
    needed_bytes: int = 0


def _cost(chunk: Chunk) -> int:
    """Bytes that a chunk is worth in the log: its data, its id, the framing."""
    return len(chunk.data) + len(chunk.cascade) + CHUNK_FRAMING_BYTES


class SegmentLog:
    """Writes and reads the segments of one partition."""

    def __init__(self, store: SegmentStore) -> None:
        self._store = store
        self.epoch = 0
        self._sequence = 0
        self._segments: dict[bytes, int] = {}  # key -> stored bytes, oldest first
        self._footprints: dict[str, _Footprint] = {}
        self.stored_bytes = 0
        self.needed_bytes = 0
        self.next_offset = -1
        self._newest: tuple[bytes, bytes] | None = None
        self._learned: Learned = NOTHING  # as last written
        self._learned_in: bytes | None = None  # the segment it was written in

    @property
    def segments(self) -> int:
        """Segments in the log."""
        return len(self._segments)

    async def recover(self, partition: Partition) -> int:
        """Rebuild ``partition`` from the log, then open a new epoch; returns the number of segments read.

        Raises StateError when the state was written by a newer version or is damaged.
        """
        read = self.load(partition)
        await self.open_epoch(partition)
        return read

    async def open_epoch(self, partition: Partition) -> None:
        """Be the log's owner after `load`: whatever a former owner writes from now on is ignored."""
        if self._newest is not None:
            # A worker that died between writing locally and the changelog's acknowledgement leaves a segment
            # that only this machine has. Sending the newest again is harmless and closes that gap.
            await self._store.put(*self._newest)
        self.epoch += 1
        await self._write(partition, [], [], [])

    def load(self, partition: Partition) -> int:
        """Rebuild ``partition`` from the log and write nothing; returns the number of segments read."""
        live: dict[str, list[Chunk]] = {}
        pending: list[list[tuple[str, float, float, str]]] = []
        left: dict[str, float] = {}
        kept: dict[tuple[str, float], Kept] = {}
        learned: bytes | None = None
        last: Segment | None = None
        for epoch, sequence, value in in_order(self._store.items()):
            last = unpack(value)
            key = KEY.pack(epoch, sequence)
            self._segments[key] = len(value)
            self.epoch, self._sequence, self._newest = epoch, sequence + 1, (key, value)
            for chunk in last.chunks:
                live.setdefault(chunk.cascade, []).append(chunk)
            pending.append(last.pending)
            for cascade, at in last.left:
                left[cascade] = at
                live.pop(cascade, None)
            # A truth that was written down beside a forecast outlives copies that cleaning made without it.
            kept |= {one.key: one for one in last.kept if one.key not in kept or one.actual != UNKNOWN}
            if last.learned is not None:
                learned, self._learned_in = last.learned, key
        if last is not None:
            self._restore(partition, live, pending, left, last)
            self._learned = NOTHING if learned is None else Learned.restore(learned)
            partition.learner.restore(kept.values(), self._learned, last.unforecast_since)
        return len(self._segments)

    def _restore(
        self,
        partition: Partition,
        live: dict[str, list[Chunk]],
        pending: list[list[tuple[str, float, float, str]]],
        left: dict[str, float],
        last: Segment,
    ) -> None:
        self.next_offset = last.next_offset
        self.stored_bytes = sum(self._segments.values())
        for cascade_id, chunks in live.items():
            # Cleaning writes chunks again, later in the log: the index, not the place, gives their order.
            if not all(one.index < following.index for one, following in pairwise(chunks)):
                chunks = list({chunk.index: chunk for chunk in sorted(chunks, key=lambda chunk: chunk.index)}.values())
            data = [chunk.data for chunk in chunks]
            partition.store.insert(Cascade.restore(data, max_events=partition.store.max_events_per_cascade))
            needed = sum(map(len, data)) + len(data) * (len(cascade_id) + CHUNK_FRAMING_BYTES)
            self._footprints[cascade_id] = _Footprint(chunks[0].index, chunks[-1].index + 1, needed)
            self.needed_bytes += needed
        for cascade_id in left:
            partition.store.remember_departed(cascade_id)
        partition.resume(last.watermark, last.clock, Heard(last.next_offset, last.heard_until))
        waiting: dict[tuple[str, float], Pending] = {}
        for told in pending:
            for cascade_id, as_of, event_time, event in told:
                if as_of >= last.unforecast_since and cascade_id in self._footprints:
                    waiting[cascade_id, as_of] = Pending(cascade_id, as_of, event_time, event)
        for one in waiting.values():
            partition.schedule.restore(one)

    def is_current(self) -> bool:
        """True while nobody else has written to the log since we last did."""
        return bool(self._segments) and self._store.newest_key() == KEY.pack(self.epoch, self._sequence - 1)

    async def append(self, partition: Partition, changes: Changes, next_offset: int) -> int:
        """Make a batch durable; returns the bytes written."""
        self.next_offset = next_offset
        for cascade_id, _ in changes.left:
            footprint = self._footprints.pop(cascade_id, None)
            if footprint is not None:
                self.needed_bytes -= footprint.needed_bytes
        chunks: list[Chunk] = []
        gone = {cascade_id for cascade_id, _ in changes.left}
        for cascade_id in changes.touched:
            cascade = partition.store.get(cascade_id)
            data = cascade.delta() if cascade is not None and cascade_id not in gone else None
            if data is not None:
                chunks.append(self._chunk(cascade_id, data))
        latest = {(waiting.cascade, waiting.as_of): waiting for waiting in changes.pending}
        written = await self._write(partition, chunks, list(latest.values()), changes.left)
        return written + await self._clean(partition)

    def _chunk(self, cascade_id: str, data: bytes) -> Chunk:
        footprint = self._footprints.get(cascade_id)
        if footprint is None:
            base = self._sequence * LIFE
            footprint = self._footprints[cascade_id] = _Footprint(base, base)
        chunk = Chunk(cascade_id, footprint.next_index, data)
        footprint.next_index += 1
        footprint.needed_bytes += _cost(chunk)
        self.needed_bytes += _cost(chunk)
        return chunk

    def _is_needed(self, chunk: Chunk) -> bool:
        footprint = self._footprints.get(chunk.cascade)
        return footprint is not None and chunk.index >= footprint.first_index

    async def _write(
        self,
        partition: Partition,
        chunks: list[Chunk],
        pending: list[Pending],
        left: list[tuple[str, float]],
        kept: list[Kept] | None = None,
    ) -> int:
        since = partition.unforecast_since()
        learned = partition.learner.state_at(since)
        newly_learned = learned is not self._learned or (self._learned_in is None and learned is not NOTHING)
        segment = Segment(
            STATE_VERSION,
            partition.watermark.value,
            since,
            self.next_offset,
            chunks,
            [(waiting.cascade, waiting.as_of, waiting.event_time, waiting.event) for waiting in pending],
            left,
            [*(kept or ()), *partition.learner.take_unwritten(since)],
            learned.snapshot() if newly_learned else None,
            partition.watermark.evidence(),
            partition.heard.until,
        )
        value = pack(segment)
        key = KEY.pack(self.epoch, self._sequence)
        self._sequence += 1
        if newly_learned:
            self._learned, self._learned_in = learned, key
        await self._store.put(key, value)
        self._segments[key] = len(value)
        self.stored_bytes += len(value)
        return len(value)

    async def checkpoint(self, partition: Partition) -> None:
        """Note how far forecasts are out, so that a clean restart repeats none."""
        await self._write(partition, [], [], [])

    async def _clean(self, partition: Partition) -> int:
        """Reclaim the oldest segments while the log holds more garbage than it may."""
        chunks: list[Chunk] = []
        pending: list[Pending] = []
        left: list[tuple[str, float]] = []
        kept: list[Kept] = []
        doomed: list[bytes] = []
        since = partition.unforecast_since()
        reclaimed = 0
        for key in list(self._segments)[:MAX_CLEANED_PER_WRITE]:
            stored = self.stored_bytes - reclaimed
            needed = self.needed_bytes + partition.learner.bytes_needed
            if stored < MINIMUM_CLEANING_BYTES or stored < GARBAGE_FACTOR * needed:
                break
            value = self._store.get(key)
            if value is None:
                raise StateError(
                    "a state segment vanished from the local store; remove the data directory to rebuild it"
                )
            segment = unpack(value)
            chunks.extend(chunk for chunk in segment.chunks if self._is_needed(chunk))
            pending.extend(
                Pending(*waiting)
                for waiting in segment.pending
                if waiting[1] >= since and waiting[0] in self._footprints
            )
            left.extend(
                (cascade, at)
                for cascade, at in segment.left
                if at > partition.watermark.value - DEPARTED_MEMORY_SECONDS and cascade not in self._footprints
            )
            kept.extend(one for one in segment.kept if partition.learner.is_needed(one, since))
            if key == self._learned_in:
                self._learned_in = None  # is written again
            doomed.append(key)
            reclaimed += len(value)
        if not doomed:
            return 0
        # The survivors are durable before what they survived from is gone.
        needed_again = chunks or pending or left or kept or (self._learned_in is None and self._learned is not NOTHING)
        written = await self._write(partition, chunks, pending, left, kept) if needed_again else 0
        for key in doomed:
            await self._store.delete(key)
            self.stored_bytes -= self._segments.pop(key)
        return written
