"""Batched delivery: a fetch's records of a partition are one message to Faust, and what is committed is durable."""

from __future__ import annotations

import asyncio
from typing import Any

import faust
import pytest
from aiokafka.structs import ConsumerRecord
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from streams.worker.batched_transport import BatchedTransport, folded
from streams.worker.gathering import Gathering
from tests.streams.worker.test_gathering import Working

EVENTS, CHANGELOG = "social.events", "app-segments-changelog"


def record(topic: str, partition: int, offset: int) -> ConsumerRecord:
    value = b"%d" % offset
    return ConsumerRecord(topic, partition, offset, 1_500 + offset, 1, b"key", value, None, 3, len(value), ())


class Consuming:
    """A consumer of the transport as Faust would drive it, between a fetcher and a stream."""

    def __init__(self, state_ends: dict[int, int]) -> None:
        app = faust.App("batched-transport-test", broker="kafka://127.0.0.1:1", web_enabled=False)
        app.topics._acking_topics.add(EVENTS)
        self.worker = Working()
        app.transport = BatchedTransport(
            app, EVENTS, state_ends.get, self._committed, Gathering(self.worker, 0.0, 1000)
        )
        self.fetched: dict[TP, list[ConsumerRecord]] = {}
        self.delivered: list[Any] = []
        self.accepts, self.accepted = True, dict[int, int]()
        self.consumer = app.transport.create_consumer(
            self._deliver, on_partitions_revoked=None, on_partitions_assigned=None
        )
        self.thread = self.consumer._thread
        self.consumer._thread = self
        self.consumer.flow_active = True

    async def _deliver(self, message: Any) -> None:
        self.delivered.append(message)

    def _committed(self, partition: int, offset: int) -> None:
        self.accepted[partition] = offset

    def assignment(self) -> set[TP]:
        return {TP(EVENTS, 0), TP(CHANGELOG, 0)}

    async def commit(self, offsets: dict[TP, int]) -> bool:
        del offsets
        return self.accepts

    async def getmany(self, active_partitions: set[TP] | None, timeout: float) -> dict[TP, list[ConsumerRecord]]:
        del active_partitions, timeout
        fetched, self.fetched = self.fetched, {}
        return fetched

    async def messages(self, *records: ConsumerRecord) -> list[Any]:
        self.fetched = {}
        for one in records:
            self.fetched.setdefault(TP(one.topic, one.partition), []).append(one)
        found = await self.consumer._getmany(None, 0.0)
        return [self.consumer._to_message(tp, one) for tp, ones in found.items() for one in ones]


@pytest.fixture
async def state_ends() -> dict[int, int]:
    return {0: 0, 1: 0}


@pytest.fixture
async def consuming(state_ends: dict[int, int]) -> Consuming:
    return Consuming(state_ends)


async def test_a_message_carries_all_records_of_its_partition_and_the_offset_of_the_last(consuming: Consuming) -> None:
    ours = [record(EVENTS, 0, offset) for offset in (7, 8, 11)]
    other = record(EVENTS, 1, 3)
    first, second = await consuming.messages(*ours, other)
    assert first.value == tuple(ours)
    assert (first.tp, first.offset, first.timestamp) == (TP(EVENTS, 0), 11, 1.511)
    assert second.value == (other,)


async def test_what_comes_while_the_worker_is_busy_travels_with_what_came_before(consuming: Consuming) -> None:
    def more() -> None:
        consuming.fetched = {TP(EVENTS, 0): [record(EVENTS, 0, 8)], TP(EVENTS, 1): [record(EVENTS, 1, 3)]}

    consuming.worker.busy_looks, consuming.worker.on_wait = 1, more
    first, second = await consuming.messages(record(EVENTS, 0, 7))
    assert first.value == (record(EVENTS, 0, 7), record(EVENTS, 0, 8))
    assert second.value == (record(EVENTS, 1, 3),)


async def test_what_was_gathered_of_partitions_that_moved_meanwhile_is_left_out(consuming: Consuming) -> None:
    def move() -> None:
        consuming.consumer.app.consumer_generation_id += 1

    consuming.worker.busy_looks, consuming.worker.on_wait = 1, move
    assert await consuming.messages(record(EVENTS, 0, 7)) == []


async def test_other_topics_are_delivered_record_by_record(consuming: Consuming) -> None:
    first, second = await consuming.messages(record(CHANGELOG, 0, 1), record(CHANGELOG, 0, 2))
    assert [first.value, second.value] == [b"1", b"2"]
    assert (first.key, first.offset) == (b"key", 1)


@given(st.lists(st.integers(0, 3), max_size=30))
def test_folding_loses_no_record_and_changes_no_order(partitions: list[int]) -> None:
    found: dict[TP, list[ConsumerRecord]] = {}
    for offset, partition in enumerate(partitions):
        found.setdefault(TP(EVENTS, partition), []).append(record(EVENTS, partition, offset))
    found[TP(EVENTS, 9)] = []
    again = {tp: [one for each in folds for one in each] for tp, folds in folded(found, EVENTS).items()}
    assert again == found
    assert all(len(folds) == bool(found[tp]) for tp, folds in folded(found, EVENTS).items())


async def test_what_is_committed_follows_the_last_record_of_the_last_message(
    consuming: Consuming, state_ends: dict[int, int]
) -> None:
    (message,) = await consuming.messages(*(record(EVENTS, 0, offset) for offset in range(100)))
    assert consuming.consumer._new_offset(message.tp) is None
    state_ends[0] = 100
    consuming.consumer.ack(message)
    assert consuming.consumer._new_offset(message.tp) == 100
    assert consuming.consumer._new_offset(message.tp) is None, "nothing more was acknowledged"


async def test_no_offset_is_committed_beyond_the_durable_state(
    consuming: Consuming, state_ends: dict[int, int]
) -> None:
    """Around a rebalance the framework may drop a message and deliver, and acknowledge, the one behind it."""
    await consuming.messages(*(record(EVENTS, 0, offset) for offset in range(100)))
    (behind,) = await consuming.messages(*(record(EVENTS, 0, offset) for offset in range(100, 200)))
    consuming.consumer.ack(behind)
    assert consuming.consumer._new_offset(behind.tp) == 0
    consuming.consumer.ack((await consuming.messages(record(EVENTS, 1, 5)))[0])
    del state_ends[1]
    assert consuming.consumer._new_offset(TP(EVENTS, 1)) is None, "the partition is another worker's"


async def test_the_first_fetch_and_one_after_a_seek_leave_no_gap_that_holds_commits_back(
    consuming: Consuming, state_ends: dict[int, int]
) -> None:
    """Faust asks for a gap to be filled when an offset is not the next; a message stands for all before it."""
    consumer = consuming.consumer
    await consumer._add_gap(TP(EVENTS, 0), 1, 49)
    for first, last in ((0, 50), (50, 51), (20, 90)):  # the last after a seek
        state_ends[0] = last
        (message,) = await consuming.messages(*(record(EVENTS, 0, offset) for offset in range(first, last)))
        consumer.ack(message)
        assert consumer._new_offset(message.tp) == last


async def test_what_the_group_has_accepted_is_told_and_what_it_refused_is_not(consuming: Consuming) -> None:
    """It refuses a worker that it has given up; a partition that moved is left out without a word."""
    offsets = {TP(EVENTS, 0): 7, TP(EVENTS, 1): 8, TP(CHANGELOG, 0): 9}
    consuming.accepts = False
    assert not await consuming.consumer._commit(offsets)
    assert consuming.accepted == {}
    consuming.accepts = True
    assert await consuming.consumer._commit(offsets)
    assert consuming.accepted == {0: 7}


def test_the_private_methods_of_faust_are_still_there() -> None:
    own = vars(BatchedTransport.Consumer)
    for name in ("_getmany", "_to_message", "_add_gap", "_new_offset", "_commit"):
        assert name in own
        assert asyncio.iscoroutinefunction(getattr(driver.Consumer, name)) is asyncio.iscoroutinefunction(own[name])
