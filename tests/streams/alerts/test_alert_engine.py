"""Alerts are a function of the events: whatever the batches and the crashes, the same records with the same ids."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from graph import Event, Kind
from streams.alerts.records import AlertState
from streams.alerts.rules import RuleBook, RuleSet
from streams.state import log as segment_log
from streams.state.segments import unpack
from streams.state.store import MemorySegmentStore
from tests.streams.alerts.alert_engine import EVERYTHING, Told, crashing_run, end, finish, play, recovered
from tests.streams.conftest import apply
from tests.streams.learning_engine import learning_settings, long_stream, service


def hostile_stream(seed: int, disorder: int, cascades: int = 25) -> list[Event]:
    """With events late, and posts taken back."""
    rng = random.Random(seed)
    events = long_stream(seed, cascades)
    undos = [
        Event(f"undo-{event.id}", event.cascade, Kind.UNDO, event.time + rng.uniform(60.0, 4000.0), parent=event.id)
        for event in events
        if event.kind is Kind.POST and rng.random() < 0.2
    ]
    return sorted([*events, *undos], key=lambda event: event.time + rng.uniform(0, disorder * 10))


def assert_whole_lives(told: Told) -> None:
    """Each alert is opened once, resolved once, and updated in between."""
    for records in told.lives().values():
        states = [record.state for record in records]
        assert states[0] is AlertState.OPENED
        assert states[-1] is AlertState.RESOLVED
        assert set(states[1:-1]) <= {AlertState.UPDATED}
        assert {record.opened_as_of for record in records} == {records[0].as_of}


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(0, 300), max_size=8), st.integers(1, 20), st.integers(0, 60))
def test_alerts_do_not_depend_on_batches(seed: int, cuts: list[int], limit: int, disorder: int) -> None:
    events = hostile_stream(seed, disorder)
    config = learning_settings(allowed_lateness_seconds=20, retention_grace_seconds=seed % 2 * 600)
    whole, _ = play(events, [], config, EVERYTHING)
    cut, _ = play(events, [min(at, len(events)) for at in cuts], config, EVERYTHING, limit)
    assert cut.records == whole.records
    assert cut.repeats == whole.repeats == 0
    assert_whole_lives(whole)


@settings(max_examples=8, deadline=None)
@example(735, 1, 0)  # the population is taken over
@example(492117, 3, 9)  # a post that left has matured, and does so again after a crash
@example(34, 8, 6)  # scores learned from before their post left, in a slot that a crash takes back
@example(471185, 4, 5)  # learned from between two ends of alerts, then the crash
@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(0, 30))
def test_a_crash_anywhere_changes_no_alert(seed: int, batch: int, disorder: int) -> None:
    """Also when posts fall silent and leave before their alerts are resolved."""
    events = hostile_stream(seed, disorder)
    config = learning_settings(
        allowed_lateness_seconds=5,
        retention_grace_seconds=seed % 2 * 600,
        idle_seconds=3000.0 if seed % 3 == 0 else None,
    )
    undisturbed, _ = play(events, [], config, EVERYTHING)
    told = Told()
    crashing_run(events, config, EVERYTHING, random.Random(seed), batch, told)
    assert told.records == undisturbed.records
    assert_whole_lives(told)


def test_the_stream_of_these_tests_brings_every_kind_of_end() -> None:
    """Else they would hold nothing."""
    told = [play(hostile_stream(seed, 5), [], learning_settings(), EVERYTHING)[0] for seed in range(6)]
    records = [record for one in told for record in one.records.values()]
    ends = Counter(record.reason.split()[0] for record in records if record.state is AlertState.RESOLVED)
    assert min(ends[reason] for reason in ("matured", "withdrawn", "no")) > 5
    assert Counter(record.state for record in records)[AlertState.UPDATED] > 20
    assert {record.rule for record in records} == EVERYTHING.names


def test_cleaning_the_log_keeps_alerts(monkeypatch: pytest.MonkeyPatch) -> None:
    deleted: list[bytes] = []
    delete = MemorySegmentStore.delete

    async def counted(store: MemorySegmentStore, key: bytes) -> None:
        deleted.append(key)
        await delete(store, key)

    monkeypatch.setattr(MemorySegmentStore, "delete", counted)
    monkeypatch.setattr(segment_log, "MINIMUM_CLEANING_BYTES", 5_000)
    config = learning_settings()
    events = hostile_stream(3, 3, cascades=60)
    expected, _ = play(events, [], config, EVERYTHING)
    for seed in range(2):
        told = Told()
        partition = crashing_run(events, config, EVERYTHING, random.Random(seed), 15, told)
        assert told.records == expected.records
        partition.alerts.journal.state_at(1e10)
        assert not partition.alerts.journal.marks
    assert len(deleted) > 40, "the test must have made the log turn over"


def test_without_rules_there_is_nothing_to_remember() -> None:
    told, partition = play(hostile_stream(4, 0), [], learning_settings(), RuleSet())
    assert not told.records
    assert partition.alerts.journal.state_at(1e10) is None


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 60))
def test_whoever_takes_over_with_other_rules_resolves_what_has_no_rule(seed: int, batch: int) -> None:
    """Rules change while it runs, and when another one begins after a clean stop."""
    rng = random.Random(seed)
    events, config, told, store = hostile_stream(seed, 3), learning_settings(), Told(), MemorySegmentStore()
    models, book = service(config), RuleBook(EVERYTHING)
    partition, log = recovered(store, config, book)
    for at in range(0, len(events), batch):
        asyncio.run(log.append(partition, apply(partition, events[at : at + batch], at), at + batch))
        finish(partition, models, config, told)
        if rng.random() < 0.1:
            book.current = RuleSet(tuple(rng.sample(EVERYTHING.rules, rng.randrange(4))), 30.0)
        if rng.random() < 0.05:
            asyncio.run(log.checkpoint(partition))
            partition, log = recovered(store, config, book)
    end(partition, events, models, config, told)
    assert not partition.alerts.open_now()
    assert told.repeats == 0
    assert_whole_lives(told)


def test_state_written_before_there_were_alerts_is_read_and_goes_on() -> None:
    """Segments of eleven fields, as earlier versions wrote them."""
    events, config, told, store = hostile_stream(6, 2), learning_settings(), Told(), MemorySegmentStore()
    models = service(config)
    partition, log = recovered(store, config, RuleBook())
    half = len(events) // 2
    asyncio.run(log.append(partition, apply(partition, events[:half], 0), half))
    finish(partition, models, config, told)
    asyncio.run(log.checkpoint(partition))
    store.segments = {key: without_alerts(value) for key, value in store.segments.items()}
    partition, log = recovered(store, config, RuleBook(EVERYTHING))
    apply(partition, events[half:], half)
    end(partition, events, models, config, told)
    assert len(told.records) > 20
    assert_whole_lives(told)


def without_alerts(value: bytes) -> bytes:
    fields = msgspec.msgpack.decode(msgspec.msgpack.encode(unpack(value)))
    return b"\x00" + msgspec.msgpack.encode(fields[:11])
