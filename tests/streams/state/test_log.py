"""The durable log of a partition."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Sequence
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from graph import Event, Kind
from streams.engine.changes import Fate
from streams.engine.partition import Partition
from streams.settings import Settings
from streams.state import log as segment_log
from streams.state import parts as segment_parts
from streams.state.keys import in_order, number_of
from streams.state.log import SegmentLog
from streams.state.squeezing import DamagedStateError
from streams.state.store import MemorySegmentStore
from tests.streams.conftest import apply, cascade_events, random_stream
from tests.streams.engine.test_partition import drain, settings


def state_of(partition: Partition) -> dict[str, tuple[object, ...]]:
    return {
        cascade.id: (cascade.size, cascade.depth, cascade.users, cascade.nodes, cascade.view().ages.tolist())
        for cascade in partition.store
    }


async def feed(partition: Partition, log: SegmentLog, events: Sequence[Event], batch: int, start: int = 0) -> None:
    for at in range(start, len(events), batch):
        changes = partition.apply_events(events[at : at + batch])
        await log.append(partition, changes, min(at + batch, len(events)))


def recovered(store: MemorySegmentStore, config: Settings) -> tuple[Partition, SegmentLog]:
    partition, log = Partition(0, config), SegmentLog(store)
    asyncio.run(log.recover(partition))
    return partition, log


def undisturbed_run(
    rng: random.Random, seed: int, disorder: int, config: Settings
) -> tuple[list[Event], Partition, list[tuple[object, ...]]]:
    """A stream in some disorder, a partition that took all of it at once, and the forecasts it then made."""
    events = sorted(random_stream(seed, cascades=10), key=lambda event: event.time + rng.uniform(0, disorder * 10))
    partition = Partition(0, config)
    partition.apply_events(events)
    partition.watermark.advance_to(1e10)
    return events, partition, drain(partition)


@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(0, 30))
def test_a_crash_anywhere_recovers_to_the_undisturbed_state(seed: int, batch: int, disorder: int) -> None:
    """Killed after any number of batches, with any of the forecasts out: state and remaining forecasts are the same."""
    rng = random.Random(seed)
    config = settings(allowed_lateness_seconds=5)
    events, undisturbed, expected = undisturbed_run(rng, seed, disorder, config)

    store = MemorySegmentStore()
    partition, log = recovered(store, config)
    made = []
    position = reached = 0
    while position < len(events):
        changes = apply(partition, events[position : position + batch], position)
        reached = max(reached, position + batch)
        asyncio.run(log.append(partition, changes, reached))
        position += batch
        for due in partition.take_due(rng.randrange(4)):
            seen = float(due.view.ages.sum() + due.view.depths.sum())
            made.append((due.cascade, due.as_of, due.event, due.view.size, seen))
            if rng.random() < 0.8:  # else: computed, and the crash comes before the acknowledgement
                partition.published(due)
        if rng.random() < 0.3:
            partition, log = recovered(store, config)
            assert log.next_offset == reached
            position = max(0, position - rng.randrange(3 * batch))  # offsets are committed behind the state
    apply(partition, events, 0)  # all of it again: nothing may change
    partition.watermark.advance_to(1e10)
    made += drain(partition)
    assert state_of(partition) == state_of(undisturbed)
    assert set(made) == set(expected)


class CrashingStore(MemorySegmentStore):
    """Takes so many more changes and then fails, as a worker does that is killed between two of them."""

    def __init__(self, segments: dict[bytes, bytes], takes: int) -> None:
        super().__init__(segments)
        self.takes = takes

    async def put(self, key: bytes, value: bytes) -> None:
        self._take()
        await super().put(key, value)

    async def delete(self, key: bytes) -> None:
        self._take()
        await super().delete(key)

    def _take(self) -> None:
        if self.takes == 0:
            raise ConnectionError("killed")
        self.takes -= 1


@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(0, 30))
def test_a_crash_between_the_parts_of_a_large_write_changes_nothing(seed: int, batch: int, disorder: int) -> None:
    rng = random.Random(seed)
    config = settings(allowed_lateness_seconds=5)
    events, undisturbed, expected = undisturbed_run(rng, seed, disorder, config)
    made: list[tuple[object, ...]] = []
    segments: dict[bytes, bytes] = {}
    with patch.object(segment_parts, "MAX_PART_BYTES", 150), patch.object(segment_log, "MINIMUM_CLEANING_BYTES", 2000):
        position = -1
        while position < len(events):
            store = CrashingStore(segments, rng.randrange(2, 40))
            partition, log = Partition(0, config), SegmentLog(store)
            with contextlib.suppress(ConnectionError):
                asyncio.run(log.recover(partition))
                position = max(0, log.next_offset)
                while position < len(events):
                    reached = min(position + batch, len(events))
                    asyncio.run(log.append(partition, apply(partition, events[position:reached], position), reached))
                    position = reached
                    made += drain(partition)
                break
            segments = store.segments
    partition.watermark.advance_to(1e10)
    made += drain(partition)
    assert state_of(partition) == state_of(undisturbed)
    assert set(made) == set(expected)


def test_no_record_is_larger_than_kafka_takes() -> None:
    """Ids of a kilobyte, a full batch, and then all cascades leaving at once."""
    config = settings(horizon_seconds=600.0, retention_grace_seconds=0.0)
    ids = [random.Random(number).randbytes(500).hex() for number in range(3000)]
    events = [Event(id, id, Kind.POST, float(number % 10), user="u") for number, id in enumerate(ids)]
    store = MemorySegmentStore()
    partition, log = recovered(store, config)
    changes = partition.apply_events(events)
    asyncio.run(log.append(partition, changes, len(events)))
    assert len(store.segments) > 3
    assert state_of(recovered(MemorySegmentStore(store.segments), config)[0]) == state_of(partition)
    partition.watermark.advance_to(1e6)
    drain(partition)
    asyncio.run(log.append(partition, partition.apply_events([]), len(events)))
    assert max(map(len, store.segments.values())) < 1_000_000
    again, _ = recovered(MemorySegmentStore(store.segments), config)
    assert len(again.store) == 0
    assert again.store.has_departed(events[0].cascade)


def test_a_slow_cascade_is_written_anew_as_one_before_it_is_scattered_over_many_chunks() -> None:
    """One event a batch: what is needed stays below twice the bytes of the cascade."""
    config = settings()
    store = MemorySegmentStore()
    partition, log = recovered(store, config)
    events = [Event("p", "p", Kind.POST, 0.0)]
    events += [Event(f"r{number}", "p", Kind.REPOST, number, user=f"u{number}", parent="p") for number in range(1, 400)]
    written = 0
    for number, event in enumerate(events):
        written += asyncio.run(log.append(partition, partition.apply_events([event]), number + 1))
    footprint = partition.store.stored("p")
    assert footprint.next_index - footprint.first_index < 200
    assert log.needed_bytes <= 2.1 * len(partition.store.get("p").snapshot())  # type: ignore[union-attr]
    again, again_log = recovered(MemorySegmentStore(store.segments), config)
    assert state_of(again) == state_of(partition)
    assert again_log.needed_bytes == log.needed_bytes
    assert written < 400 * len(events)


def test_an_earlier_owner_that_writes_after_it_was_replaced_is_ignored() -> None:
    config = settings()
    events = random_stream(5)
    store = MemorySegmentStore()
    paused, paused_log = recovered(store, config)
    asyncio.run(feed(paused, paused_log, events[:40], 10))
    owner, owner_log = recovered(store, config)
    assert owner_log.is_current()
    assert not paused_log.is_current()
    asyncio.run(feed(owner, owner_log, events, 10, start=40))
    asyncio.run(feed(paused, paused_log, events[:90], 10, start=40))  # wakes up and goes on writing
    again, _ = recovered(store, config)
    assert state_of(again) == state_of(owner)


def test_where_there_is_no_other_copy_a_log_without_its_first_records_is_all_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = MemorySegmentStore()
    partition, log = recovered(store, settings())
    asyncio.run(feed(partition, log, random_stream(6), 10))
    oldest = in_order(store.segments.items())[0].key
    monkeypatch.setattr(MemorySegmentStore, "is_all_there_is", lambda _: True)
    del store.segments[oldest]
    with capture_logs() as told:
        recovered(store, settings())
    assert [(one["event"], one["records"]) for one in told] == [
        ("the state lacks records that its last one counted on", 1)
    ]


def test_a_write_that_the_earlier_owner_had_in_flight_is_ignored_too() -> None:
    """The old owner's segment lands after the new one read the log, before the new one's first."""
    config = settings()
    events = random_stream(6)
    store = MemorySegmentStore()
    paused, paused_log = recovered(store, config)
    asyncio.run(feed(paused, paused_log, events[:40], 10))
    seen_by_new_owner = MemorySegmentStore(store.segments)
    asyncio.run(feed(paused, paused_log, events[:50], 10, start=40))
    owner, owner_log = recovered(seen_by_new_owner, config)
    asyncio.run(feed(owner, owner_log, events, 7, start=40))
    merged = MemorySegmentStore({**store.segments, **seen_by_new_owner.segments})
    again, _ = recovered(merged, config)
    assert state_of(again) == state_of(owner)


def test_two_owners_that_did_not_see_each_other_leave_one_whole_state() -> None:
    """Kafka is cut off in a rebalance: one opens an epoch without the segment that only the other's disk has, and the
    other opens the same epoch upon it."""
    config = settings()
    events = random_stream(7)
    on_disk = MemorySegmentStore()
    former, former_log = recovered(on_disk, config)
    asyncio.run(feed(former, former_log, events[:40], 10))
    in_kafka = MemorySegmentStore(on_disk.segments)
    asyncio.run(feed(former, former_log, events[:50], 10, start=40))  # not acknowledged
    other, other_log = recovered(in_kafka, config)
    owner, owner_log = recovered(on_disk, config)
    assert other_log.epoch == owner_log.epoch
    asyncio.run(feed(other, other_log, events[:60], 20, start=40))
    asyncio.run(feed(owner, owner_log, events, 10, start=50))
    both = MemorySegmentStore({**in_kafka.segments, **on_disk.segments})
    again, again_log = recovered(both, config)
    assert state_of(again) == state_of(owner)
    assert again_log.next_offset == len(events)


def days(seeds: int) -> list[Event]:
    """Cascades that live for ten minutes, ten minutes after each other."""
    return sorted(
        (
            event
            for seed in range(seeds)
            for event in shifted(random_stream(seed, cascades=30, span=600.0), seed, 600.0 * seed)
        ),
        key=lambda event: event.time,
    )


SHORT_LIVES = settings(horizon_seconds=600.0, retention_grace_seconds=60.0, forecast_delay_seconds=30.0)


def test_what_is_cleaned_goes_once_a_commit_tells_that_the_log_was_still_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that was paused, and wakes and cleans, takes nothing from the owner that came meanwhile."""
    monkeypatch.setattr(segment_log, "MINIMUM_CLEANING_BYTES", 20_000)
    events = days(20)
    in_kafka = MemorySegmentStore()
    paused, paused_log = Partition(0, SHORT_LIVES), SegmentLog(in_kafka, shared=True)
    asyncio.run(paused_log.recover(paused))

    async def live(partition: Partition, log: SegmentLog, start: int, end: int, *, commits: bool) -> None:
        for at in range(start, end, 50):
            changes = partition.apply_events(events[at : at + 50])
            drain(partition)
            await log.append(partition, changes, at + 50)
            if commits:
                log.committed(at + 50)

    half = len(events) // 100 * 50
    asyncio.run(live(paused, paused_log, 0, half, commits=True))
    asyncio.run(paused_log._delete_condemned())  # what the last commit allows
    counted_on = set(in_kafka.segments)
    owner_store = MemorySegmentStore(in_kafka.segments)
    owner, owner_log = Partition(0, SHORT_LIVES), SegmentLog(owner_store, shared=True)
    asyncio.run(owner_log.recover(owner))
    cleaned = next(iter(paused_log._segments))
    asyncio.run(live(paused, paused_log, half, half + 300, commits=False))
    assert cleaned not in paused_log._segments, "the test must have made it clean"
    assert counted_on <= set(in_kafka.segments)
    written = {key: value for key, value in owner_store.segments.items() if key not in counted_on}
    again, _ = recovered(MemorySegmentStore({**in_kafka.segments, **written}), SHORT_LIVES)
    assert state_of(again) == state_of(owner)


@pytest.mark.parametrize("shared", [False, True])
def test_the_log_stays_in_proportion_to_what_lives(monkeypatch: pytest.MonkeyPatch, shared: bool) -> None:
    monkeypatch.setattr(segment_log, "MINIMUM_CLEANING_BYTES", 20_000)
    events = days(30)
    store = MemorySegmentStore()
    partition, log = Partition(0, SHORT_LIVES), SegmentLog(store, shared=shared)
    asyncio.run(log.recover(partition))
    written = 0
    for at in range(0, len(events), 50):
        changes = partition.apply_events(events[at : at + 50])
        drain(partition)
        written += asyncio.run(log.append(partition, changes, at + 50))
        log.committed(at + 50)
    stored = sum(map(len, store.segments.values()))
    assert log.stored_bytes == stored
    assert stored < max(20_000 * 1.5, 3 * log.needed_bytes)
    assert written > 4 * stored, "the test must have made the log turn over"
    again, again_log = recovered(MemorySegmentStore(store.segments), SHORT_LIVES)
    assert state_of(again) == state_of(partition)
    assert again_log.needed_bytes == log.needed_bytes
    # What left is still known after its segment is gone: a straggler does not start it anew.
    assert not again.apply_events([events[0]]).touched


@pytest.mark.parametrize("cleaned", [False, True])
@pytest.mark.parametrize("owners", [1, 3])
def test_a_copy_without_its_first_records_is_found_out(
    cleaned: bool, owners: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many they are, as long as one is left: it looks like a log whose first records were cleaned."""
    monkeypatch.setattr(segment_log, "MINIMUM_CLEANING_BYTES", 20_000 if cleaned else 1 << 30)
    events, store = days(12), MemorySegmentStore()
    for owner in range(owners):
        partition, log = recovered(store, SHORT_LIVES)
        part = len(events) // owners
        for at in range(owner * part, (owner + 1) * part, 50):
            changes = partition.apply_events(events[at : min(at + 50, (owner + 1) * part)])
            drain(partition)
            asyncio.run(log.append(partition, changes, at + 50))
    whole = [record.key for record in in_order(store.segments.items())]
    assert (number_of(whole[0]) > 0) == cleaned
    for missing in range(1, len(whole)):
        copy = MemorySegmentStore({key: store.segments[key] for key in whole[missing:]})
        with pytest.raises(DamagedStateError, match=f"the first {missing} of its records are missing"):
            SegmentLog(copy).load(Partition(0, SHORT_LIVES))
    again, _ = recovered(store, SHORT_LIVES)
    assert state_of(again) == state_of(partition)


def shifted(events: list[Event], life: int, seconds: float) -> list[Event]:
    return [
        Event(
            id=f"{life}:{event.id}", cascade=f"{life}:{event.cascade}", kind=event.kind, time=event.time + seconds,
            parent=None if event.parent is None else f"{life}:{event.parent}",
        )
        for event in events
    ]  # fmt: skip


def test_a_checkpoint_keeps_forecasts_from_being_repeated() -> None:
    config = settings()
    store = MemorySegmentStore()
    partition, log = recovered(store, config)
    asyncio.run(feed(partition, log, random_stream(8), 20))
    partition.watermark.advance_to(1e10)
    assert drain(partition)
    asyncio.run(log.checkpoint(partition))
    again, _ = recovered(store, config)
    assert drain(again) == []


def test_what_is_only_counted_counts_once_though_it_is_read_again() -> None:
    """Beyond the maximum no id is kept: the offset tells that a record was heard."""
    config = settings(max_events_per_cascade=100)
    events = cascade_events("c", 1.0e9, [float(n) for n in range(300)])
    store = MemorySegmentStore()
    partition, log = recovered(store, config)
    changes = apply(partition, events, 0)
    assert changes.counted_only == 200
    asyncio.run(log.append(partition, changes, len(events)))
    again, _ = recovered(store, config)
    assert apply(again, events[150:], 150).fates == {Fate.DUPLICATE: 151}
    assert state_of(again) == state_of(partition)
    more = [Event(id="new", cascade="c", kind=Kind.REPOST, time=1.0e9 + 300)]
    assert apply(again, more, len(events)).counted_only == 1


def test_a_topic_that_was_made_anew_begins_at_offset_0_and_is_heard() -> None:
    config = settings()
    store = MemorySegmentStore()
    partition, log = recovered(store, config)
    events = random_stream(3)
    asyncio.run(log.append(partition, apply(partition, events, 0), len(events)))
    again, _ = recovered(store, config)
    fresh = shifted(events, 1, 7200.0)
    assert apply(again, fresh, 0, broker_time=1e6).fates == {Fate.APPLIED: len(fresh)}
    assert again.watermark.value > partition.watermark.value
