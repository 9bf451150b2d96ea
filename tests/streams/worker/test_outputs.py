"""Outputs at least once, and once: what is in a transaction, who may publish, what is not published again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import ProducerFenced

from streams.worker.outputs import DirectOutputs, Message, Output, SupersededError, TransactionalOutputs
from streams.worker.progress import OutputKey, OutputKind


def forecast(at: float, topic: str = "forecasts") -> Output:
    return Output(topic, (b"c", str(at).encode(), []), OutputKey(OutputKind.FORECAST, at, "c"))


class Broker:
    """Committed records and offsets; knows the newest producer of each transactional id."""

    def __init__(self) -> None:
        self.records: list[tuple[str, bytes]] = []
        self.offsets: dict[tuple[str, TopicPartition], tuple[int, str]] = {}
        self.newest: dict[str, Producer] = {}
        self.slow = 0.0

    async def committed(self, group: str, place: TopicPartition) -> tuple[int, str]:
        return self.offsets.get((group, place), (-1, ""))


class Producer:
    """As much of a transactional producer as is used."""

    def __init__(self, broker: Broker, transactional_id: str) -> None:
        self._broker = broker
        self._id = transactional_id
        self._sent: list[tuple[str, bytes]] = []
        self._offsets: dict[Any, Any] = {}
        self.stopped = False

    async def start(self) -> None:
        self._broker.newest[self._id] = self

    async def stop(self) -> None:
        self.stopped = True

    @asynccontextmanager
    async def transaction(self) -> Any:
        self._sent, self._offsets = [], {}
        yield
        await asyncio.sleep(self._broker.slow)
        assert not self.stopped, "closed in the middle of a transaction"
        if self._broker.newest[self._id] is not self:
            raise ProducerFenced
        self._broker.records += self._sent
        self._broker.offsets |= self._offsets

    async def send(self, topic: str, value: bytes, key: bytes, headers: object) -> asyncio.Future[None]:
        self._sent.append((topic, value))
        sent = asyncio.get_running_loop().create_future()
        sent.set_result(None)
        return sent

    async def send_offsets_to_transaction(self, offsets: dict[Any, Any], group: str) -> None:
        self._offsets = {(group, place): (note.offset, note.metadata) for place, note in offsets.items()}


@pytest.fixture
def broker() -> Broker:
    return Broker()


def outputs(broker: Broker) -> TransactionalOutputs:
    return TransactionalOutputs(lambda name: Producer(broker, name), broker.committed, "app", "social")


async def test_a_round_and_the_note_that_it_is_out_are_one_transaction(broker: Broker) -> None:
    mine = outputs(broker)
    await mine.take_over(0)
    assert len(await mine.publish(0, [forecast(1.0), forecast(2.0, "forecasts.challenger")], 2.5)) == 2
    assert broker.records == [("social.forecasts", b"1.0"), ("social.forecasts.challenger", b"2.0")]
    assert list(broker.offsets) == [("app-outputs", TopicPartition("social.events", 0))]


async def test_what_is_out_is_not_published_again_by_the_next_owner(broker: Broker) -> None:
    first, second = outputs(broker), outputs(broker)
    await first.take_over(0)
    await first.publish(0, [forecast(1.0), forecast(2.0)], 1.5)
    await second.take_over(0)
    assert await second.publish(0, [forecast(1.0), forecast(2.0)], 2.5) == []
    assert [value for _, value in broker.records] == [b"1.0", b"2.0"]


async def test_how_far_outputs_are_out_is_noted_without_any_and_forgets_nothing(broker: Broker) -> None:
    first, second = outputs(broker), outputs(broker)
    await first.take_over(0)
    await first.publish(0, [forecast(5.0)], 1.5)
    await first.note(0, 3.0)
    await second.take_over(0)
    wanted = await second.publish(0, [forecast(2.0), forecast(4.0), forecast(5.0)], 6.0)
    assert [output.key.at for output in wanted] == [4.0]
    with pytest.raises(SupersededError):
        await first.note(0, 7.0)


async def test_a_former_owner_is_shut_out(broker: Broker) -> None:
    former, present = outputs(broker), outputs(broker)
    await former.take_over(0)
    await present.take_over(0)
    with pytest.raises(SupersededError):
        await former.publish(0, [forecast(1.0)], 1.5)
    assert broker.records == []


async def test_a_partition_is_let_go_after_what_was_begun_and_before_what_waits(broker: Broker) -> None:
    mine = outputs(broker)
    await mine.take_over(0)
    broker.slow = 0.05
    begun = asyncio.create_task(mine.publish(0, [forecast(1.0)], 1.5))
    waiting = asyncio.create_task(mine.publish(0, [forecast(2.0)], 2.5))
    await asyncio.sleep(0.01)
    await mine.release(0)
    assert len(await begun) == 1
    with pytest.raises(SupersededError):
        await waiting
    with pytest.raises(SupersededError):
        await mine.publish(0, [forecast(3.0)], 3.5)
    assert [value for _, value in broker.records] == [b"1.0"]


async def test_a_producer_that_cannot_start_is_closed(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Producer] = []

    def new(name: str) -> Producer:
        made.append(Producer(broker, name))
        return made[-1]

    async def unreachable(group: str, place: TopicPartition) -> tuple[int, str]:
        raise ConnectionError("no coordinator")

    mine = TransactionalOutputs(new, unreachable, "app", "social")
    with pytest.raises(ConnectionError):
        await mine.take_over(0)
    assert made[0].stopped


async def test_at_least_once_everything_goes_out_each_time() -> None:
    sent: list[tuple[str, int]] = []

    class Publisher:
        async def publish(self, topic: str, messages: Sequence[Message]) -> None:
            sent.append((topic, len(messages)))

    direct = DirectOutputs(Publisher())
    await direct.take_over(0)
    for _ in range(2):
        assert len(await direct.publish(0, [forecast(1.0), forecast(2.0), forecast(1.0, "scores")], 9.0)) == 3
    await direct.release(0)
    assert sent == [("forecasts", 2), ("scores", 1)] * 2
