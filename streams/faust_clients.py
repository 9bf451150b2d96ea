"""The worker's ways to Kafka through the Faust app's consumer and producer, and the producers of its transactions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import faust
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from faust.exceptions import ConsumerNotStarted

from streams.outputs import Message
from streams.settings import Settings
from streams.topics import DEAD_LETTER_BYTES

MAX_REQUEST_BYTES: Final = DEAD_LETTER_BYTES
"""Nothing larger is published than a dead letter."""

RETRY_SECONDS = 0.2
"""Before Kafka is asked again what it could not answer yet."""


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


END_SECONDS: Final = 5.0
"""For Kafka to say where a partition ends: the clock of the worker waits for it."""


class FaustSource:
    """The events topic as the app's consumer reads it."""

    def __init__(self, app: faust.App, topic: str) -> None:
        self._app = app
        self._topic = topic

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
            **_client_config(settings),
        )

    return new_producer


def committed_reader(settings: Settings) -> Callable[[str, TopicPartition], Awaitable[tuple[int, str]]]:
    """Reads a group's committed offset and its metadata; the offset is negative where there is none."""

    async def read(group: str, place: TopicPartition) -> tuple[int, str]:
        # Not by librdkafka: its Python client reads metadata beyond their end.
        admin = AIOKafkaAdminClient(**_client_config(settings))
        await admin.start()
        deadline = time.monotonic() + settings.delivery_timeout_seconds
        try:
            while True:
                try:
                    found = (await admin.list_consumer_group_offsets(group, partitions=[place]))[place]
                except KafkaError as error:  # the group's coordinator may still have to be found
                    if not error.retriable or time.monotonic() > deadline:
                        raise
                    await asyncio.sleep(RETRY_SECONDS)
                else:
                    return found.offset, found.metadata
        finally:
            await admin.close()

    return read


def _client_config(settings: Settings) -> dict[str, Any]:
    return {
        "bootstrap_servers": [server.strip() for server in settings.bootstrap_servers.split(",")],
        "client_id": "cascadecast",
        **settings.kafka_security().aiokafka(),
    }
