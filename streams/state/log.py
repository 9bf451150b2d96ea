"""The durable state of a partition: an append-only log of delta segments, one a micro-batch.

A table write costs hundreds of microseconds and sends its whole value, so the unit of a durable write is the batch: a
segment holds what each touched cascade gained (a *chunk*), which cascades left, the forecasts still to be made, those
kept for scoring, and what was learned. Reading all segments in order gives the state back. The log is circular: once
more is stored than twice what live cascades need, the oldest segment goes; what in it is still needed is written again,
at the head.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Final

import structlog

from graph import Cascade
from streams.alerts.standings import Mark, Step
from streams.alerts.stored import StoredAlerts
from streams.engine.changes import Changes
from streams.engine.heard import Heard
from streams.engine.partition import Partition
from streams.engine.schedule import Pending
from streams.scoring.kept import UNKNOWN, Kept
from streams.scoring.learned import Learned
from streams.scoring.learning import NOTHING
from streams.state.chunks import Chunk, Chunks
from streams.state.condemned import Cleaned, Condemned
from streams.state.footprints import Footprint
from streams.state.keys import LogPosition, LogRecord, in_order, new_owner, number_of
from streams.state.live_chunks import LiveChunks
from streams.state.parts import joined, split, whole
from streams.state.segments import STATE_VERSION, Segment, Waiting, WaitingForecast, pack, unpack
from streams.state.squeezing import StateError, damaged
from streams.state.store import SegmentStore
from streams.state.stored_times import StoredClock

_log = structlog.get_logger("cascadecast.state")

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


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Without it a recovery takes half as long again: millions of objects are made, none of them garbage."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class SegmentLog:
    """Writes and reads the segments of one partition."""

    def __init__(self, store: SegmentStore, *, shared: bool = False) -> None:
        """``shared``: others may own the log before and after us, as a Kafka group decides (`committed`)."""
        self._store = store
        self._condemned = Condemned(at_once=not shared)
        self.epoch = 0
        self._owner = new_owner()
        self._sequence = 0
        self._segments: dict[bytes, int] = {}  # key of the first record -> stored bytes, oldest first
        self._further: dict[bytes, list[bytes]] = {}  # the same key -> those of the others, where there are any
        self.stored_bytes = 0
        self.needed_bytes = 0
        self.next_offset = -1
        self.watermark = -math.inf  # as last written
        self.left_until = -math.inf  # as loaded: cascades that were to leave by then may have left, no others
        self._newest: LogRecord | None = None  # as loaded
        self._newest_key: bytes | None = None  # as loaded or written
        self._learned: Learned = NOTHING  # as last written
        self._learned_in: bytes | None = None  # the segment it was written in
        self._alerts: bytes | None = None  # the ledger of alerts as last written
        self._alerts_in: bytes | None = None  # the segment it was written in

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
            await self._store.put(self._newest.key, self._newest.value)
        self.epoch += 1
        await self._write(partition, [], [], [], opens=True)

    def load(self, partition: Partition) -> int:
        """Rebuild ``partition`` from the log and write nothing; returns the number of segments read."""
        with no_garbage_collection():
            return self._load(partition)

    def _load(self, partition: Partition) -> int:
        live = LiveChunks()
        waiting: list[Waiting] = []
        left: dict[str, float] = {}
        kept: dict[tuple[str, float], Kept] = {}
        learned: bytes | None = None
        alerts = StoredAlerts()
        last: Segment | None = None
        records = in_order(self._store.items())
        if records:
            self._newest = records[-1]
            self._newest_key = self._newest.key
            self.epoch, self._sequence = self._newest.position.epoch, self._newest.position.sequence + 1
        for one in joined(records):
            self._note(one.keys, one.stored_bytes)
            if one.value is None:
                continue
            last = unpack(one.value)
            if alerts.take(one.position.epoch, last):
                self._alerts_in = one.keys[0]
            live.take(last)
            waiting.append(last.pending)
            left.update(last.left)
            # A truth that was written down beside a forecast outlives copies that cleaning made without it.
            kept |= {one.key: one for one in last.kept if one.key not in kept or one.actual != UNKNOWN}
            if last.learned is not None:
                learned, self._learned_in = last.learned, one.keys[0]
        if last is not None:
            self._must_begin_at(last.begins, records[0].position.sequence)
            self._restore(partition, live, left, last)
            _restore_schedule(partition, waiting, last.unforecast_since)
            self._learned = NOTHING if learned is None else Learned.restore(learned)
            partition.learner.restore(kept.values(), self._learned, last.unforecast_since)
            self._alerts = alerts.snapshot
            alerts.restore(partition.alerts, last.unforecast_since)
        return len(self._segments)

    def _must_begin_at(self, told: int | None, found: int) -> None:
        """A copy whose first records were never read looks like one whose first records were cleaned."""
        if told is None or found <= told:
            return
        if not self._store.is_all_there_is():
            raise damaged(f"the first {found - told} of its records are missing")
        # A former owner may have cleaned them after its successor had read them.
        _log.warning("the state lacks records that its last one counted on", records=found - told)

    def _restore(self, partition: Partition, live: LiveChunks, left: dict[str, float], last: Segment) -> None:
        self.next_offset = last.next_offset
        for cascades, needed_bytes in live.restore(partition.store.max_events_per_cascade):
            self.needed_bytes += needed_bytes
            partition.store.restore(cascades, last.watermark)
        for cascade_id in left:
            partition.store.remember_departed(cascade_id)
        self.left_until = max(left.values(), default=-math.inf)
        clock = None if last.clock is None else last.clock.evidence(last.watermark)
        partition.resume(last.watermark, clock, Heard(last.next_offset, last.heard_until))

    def committed(self, next_offset: int) -> None:
        """The group has accepted a commit of this offset: the log was still ours."""
        self._condemned.committed(next_offset)

    def is_current(self) -> bool:
        """True while nobody else has written to the log since we last did."""
        return bool(self._segments) and self._store.newest_key() == self._newest_key

    async def append(self, partition: Partition, changes: Changes, next_offset: int) -> int:
        """Make a batch durable; returns the bytes written."""
        self.next_offset = next_offset
        for departed in changes.departed:
            if departed.stored is not None:
                self.needed_bytes -= departed.stored.needed_bytes
        gone = {cascade_id for cascade_id, _ in changes.left}
        touched = [partition.store.get(cascade_id) for cascade_id in changes.touched if cascade_id not in gone]
        chunks: list[Chunk] = []
        for cascade in touched:
            if cascade is not None:
                self._add_chunks(cascade, chunks)
        latest = {id(waiting): waiting for waiting in changes.pending}  # one that several events made due is one object
        written = await self._write(partition, chunks, list(latest.values()), changes.left)
        written += await self._clean(partition)
        await self._delete_condemned()
        return written

    def _add_chunks(self, cascade: Cascade, chunks: list[Chunk]) -> None:
        """What the cascade gained; or all of it, where that is better than to leave it scattered."""
        data = cascade.delta()
        if data is None:
            return
        footprint = cascade.stored
        if footprint is None:
            base = self._sequence * LIFE
            footprint = cascade.stored = Footprint(base, base)
        elif footprint.is_scattered(cascade):
            data = cascade.snapshot()
        chunk = Chunk(cascade.id, footprint.next_index, data)
        self.needed_bytes += footprint.add(chunk)
        chunks.append(chunk)

    async def _write(
        self,
        partition: Partition,
        chunks: list[Chunk],
        pending: list[Pending],
        left: list[tuple[str, float]],
        kept: list[Kept] | None = None,
        again: tuple[list[Step], list[Mark]] = ([], []),
        *,
        opens: bool = False,
        doomed: Collection[bytes] = (),
    ) -> int:
        since = partition.unforecast_since()
        journal = partition.alerts.journal
        alerts = journal.state_at(since)
        newly_alerted = alerts is not self._alerts or (self._alerts_in is None and alerts is not None)
        steps, marks = journal.take_unwritten()
        learned = partition.learner.state_at(since)
        newly_learned = learned is not self._learned or (self._learned_in is None and learned is not NOTHING)
        segment = Segment(
            STATE_VERSION,
            partition.watermark.value,
            since,
            self.next_offset,
            Chunks.of(chunks),
            Waiting.of([(waiting.cascade, waiting.as_of, waiting.event_time, waiting.event) for waiting in pending]),
            left,
            [*(kept or ()), *partition.learner.take_unwritten(since)],
            learned.snapshot() if newly_learned else None,
            StoredClock.of(partition.watermark.evidence(), partition.watermark.value),
            partition.heard.until,
            alerts if newly_alerted else None,
            again[0] + steps,
            again[1] + marks,
            next((number_of(key) for key in self._segments if key not in doomed), self._sequence),
        )
        records = split(pack(segment))
        keys = self._next_keys(len(records), self._newest.position if opens and self._newest is not None else None)
        if newly_learned:
            self._learned, self._learned_in = learned, keys[0]
        if newly_alerted:
            self._alerts, self._alerts_in = alerts, keys[0]
        for key, value in zip(keys, records, strict=True):
            await self._store.put(key, value)
        self.watermark = segment.watermark
        written = sum(map(len, records))
        self._note(keys, written)
        return written

    def _next_keys(self, number: int, after: LogPosition | None) -> list[bytes]:
        """Of the next records; ``after``: what the first goes on from, where it opens an epoch."""
        positions = [LogPosition(self.epoch, self._sequence + at, self._owner) for at in range(number)]
        self._sequence += number
        keys = [position.key(after if at == 0 else None) for at, position in enumerate(positions)]
        self._newest_key = keys[-1]
        return keys

    def _note(self, keys: list[bytes], stored_bytes: int) -> None:
        """A segment lies in the log, in one record or several."""
        self._segments[keys[0]] = stored_bytes
        if len(keys) > 1:
            self._further[keys[0]] = keys[1:]
        self.stored_bytes += stored_bytes

    async def checkpoint(self, partition: Partition) -> None:
        """Note how far forecasts are out, so that a clean restart repeats none."""
        await self._write(partition, [], [], [])

    async def _clean(self, partition: Partition) -> int:
        """Reclaim the oldest segments while the log holds more garbage than it may."""
        chunks: list[Chunk] = []
        pending: list[Pending] = []
        left: list[tuple[str, float]] = []
        kept: list[Kept] = []
        again: tuple[list[Step], list[Mark]] = ([], [])
        doomed: list[bytes] = []
        since = partition.unforecast_since()
        store = partition.store
        reclaimed = 0
        for key in list(self._segments)[:MAX_CLEANED_PER_WRITE]:
            stored = self.stored_bytes - self._condemned.stored_bytes - reclaimed
            needed = self.needed_bytes + partition.learner.bytes_needed + partition.alerts.journal.bytes_needed
            if stored < MINIMUM_CLEANING_BYTES or stored < GARBAGE_FACTOR * needed:
                break
            doomed.append(key)
            reclaimed += self._segments[key]
            segment = self._read(key)
            if segment is None:
                continue
            chunks.extend(segment.chunks.where(lambda cascade, index: _is_needed(store.stored(cascade), index)))
            pending.extend(Pending(*waiting) for waiting in segment.pending.since(since) if waiting[0] in store)
            left.extend(
                (cascade, at)
                for cascade, at in segment.left
                if at > partition.watermark.value - DEPARTED_MEMORY_SECONDS and cascade not in store
            )
            kept.extend(one for one in segment.kept if partition.learner.is_needed(one, since))
            steps, marks = partition.alerts.journal.needed(segment.steps, segment.marks)
            again[0].extend(steps)
            again[1].extend(marks)
            if key == self._learned_in:
                self._learned_in = None  # is written again
            if key == self._alerts_in:
                self._alerts_in = None
        if not doomed:
            return 0
        # The survivors, and where the log begins from now on, are durable before what they survived from is gone.
        written = await self._write(partition, chunks, pending, left, kept, again, doomed=doomed)
        for key in doomed:
            keys = [key, *self._further.pop(key, ())]
            self._condemned.add(Cleaned(self.next_offset, keys, self._segments.pop(key)))
        return written

    async def _delete_condemned(self) -> None:
        for segment in self._condemned.take(max(MINIMUM_CLEANING_BYTES, self.needed_bytes)):
            for key in segment.keys:
                await self._store.delete(key)
            self.stored_bytes -= segment.stored_bytes

    def _read(self, key: bytes) -> Segment | None:
        """A segment by the key of its first record; None where not all of it is there."""
        values = []
        for each in (key, *self._further.get(key, ())):
            value = self._store.get(each)
            if value is None:
                raise StateError(
                    "a state segment vanished from the local store; remove the data directory to rebuild it"
                )
            values.append(value)
        stored = whole(values)
        return None if stored is None else unpack(stored)


def _is_needed(footprint: Footprint | None, index: int) -> bool:
    return footprint is not None and index >= footprint.first_index


def _restore_schedule(partition: Partition, stored: list[Waiting], since: float) -> None:
    """Put in the forecasts still to be made, once the cascades are there."""
    pending: dict[tuple[str, float], WaitingForecast] = {}
    for one in stored:
        for waiting in one.since(since):
            # Cleaning writes an earlier word again, later in the log: the later event is the one to name.
            pending[waiting[:2]] = max(waiting, pending.get(waiting[:2], waiting))
    for waiting in pending.values():
        if waiting[0] in partition.store:
            partition.schedule.restore(Pending(*waiting))
