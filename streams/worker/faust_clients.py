"""The worker's ways to Kafka through the Faust app's consumer and producer, and the producers of its transactions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import faust
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from faust.exceptions import ConsumerNotStarted

from streams.kafka.control_records import heartbeat_headers
from streams.kafka.event_ends import EventEnds
from streams.kafka.groups import aiokafka_config
from streams.kafka.topics import DEAD_LETTER_BYTES
from streams.settings import Settings
from streams.worker.outputs import Message

MAX_REQUEST_BYTES: Final = DEAD_LETTER_BYTES
"""Nothing larger is published than a dead letter."""


class FaustPublisher:
    """Publishes through the app's producer; keys decide the partition by Kafka's own murmur2."""

    def __init__(self, app: faust.App, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    async def publish(self, topic: str, messages: Sequence[Message]) -> None:
        """Send and wait for every acknowledgement; raises what the producer raises."""
        send = self._app.producer.send
        name = f"{self._prefix}.{topic}"
        futures = [await send(name, key, value, None, None, headers) for key, value, headers in messages]
        await asyncio.gather(*futures)

    async def heartbeat(self, partition: int, token: bytes) -> None:
        """Send one to a partition of the events topic, and wait for its acknowledgement."""
        sent = await self._app.producer.send(
            f"{self._prefix}.events", None, b"", partition, None, heartbeat_headers(token)
        )
        await sent


class FaustOwners:
    """Which worker has which partition, as the group's leader told all of them."""

    def __init__(self, app: faust.App, table: faust.Table) -> None:
        self._app = app
        self._table = table

    def urls(self) -> dict[int, str]:
        """Base URL of the owner of each partition; none of partitions that are on their way."""
        topic = self._table.changelog_topic.get_topic_name()
        return {
            number: str(url).rstrip("/")
            for url, topics in self._app.router.tables_metadata().items()
            for number in topics.get(topic, ())
        }


END_SECONDS: Final = 5.0
"""For Kafka to say where a partition ends: the clock of the worker waits for it."""


class FaustSource:
    """The events topic as the app's consumer reads it."""

    def __init__(self, app: faust.App, topic: str, ask_apart: Callable[[], EventEnds]) -> None:
        """``ask_apart`` opens a client beside the app's consumer; it is called when there is something to ask."""
        self._app = app
        self._topic = topic
        self._ask_apart = ask_apart
        self._asked_apart: EventEnds | None = None
        self._asking = asyncio.Lock()

    def _tp(self, partition: int) -> faust.types.TP:
        return faust.types.TP(self._topic, partition)

    async def earliest(self, partition: int) -> int:
        """The first offset there is."""
        found = await self._app.consumer.earliest_offsets(self._tp(partition))
        return int(found[self._tp(partition)])

    async def rewind(self, partition: int, offset: int) -> None:
        """Deliver again from ``offset`` on, also where the framework has forgotten that it is to fetch at all."""
        tp = self._tp(partition)
        if tp in self._app.consumer.assignment():
            self._app.consumer.resume_partitions([tp])
        await self._app.consumer.seek(tp, offset)

    async def first_from(self, partition: int, offset: int) -> int | None:
        """The first offset of which there is a record: asked apart, since the consumer may have passed records over."""
        async with self._asking:
            self._asked_apart = self._asked_apart or self._ask_apart()
            return await asyncio.to_thread(self._asked_apart.first_from, partition, offset)

    def last_known_end(self, partition: int) -> int | None:
        """One past the last offset, as the last fetch told; None before the first."""
        try:
            found = self._app.consumer.highwater(self._tp(partition))
        except (AssertionError, ConsumerNotStarted, KafkaError):  # aiokafka asserts that the partition is ours
            return None
        return int(found) if found is not None else None

    async def end(self, partition: int) -> int | None:
        """One past the last offset, asked of Kafka: a consumer that fetches no more hears of none. None: no answer."""
        tp = self._tp(partition)
        try:
            async with asyncio.timeout(END_SECONDS):
                found = await self._app.consumer.highwaters(tp)
        except (TimeoutError, KafkaError, ConsumerNotStarted):
            return None
        return int(found[tp])


def transactional_producers(settings: Settings) -> Callable[[str], AIOKafkaProducer]:
    """Makes a producer of the given transactional id, to be started."""

    def new_producer(transactional_id: str) -> AIOKafkaProducer:
        return AIOKafkaProducer(
            transactional_id=transactional_id,
            compression_type="zstd",
            linger_ms=5,
            max_request_size=MAX_REQUEST_BYTES,
            request_timeout_ms=int(settings.delivery_timeout_seconds * 1000),
            transaction_timeout_ms=int(settings.delivery_timeout_seconds * 1000),
            **aiokafka_config(settings),
        )

    return new_producer
