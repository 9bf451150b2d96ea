"""The worker's ways to Kafka through the Faust app's consumer and producer, and the producers of its transactions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import faust
from aiokafka import AIOKafkaProducer
from aiokafka import TopicPartition as AioTopicPartition

from streams.kafka_clients import kafka_client_config
from streams.outputs import Message
from streams.settings import Settings

MAX_SEGMENT_BYTES = 16 * 1024 * 1024
"""What the changelog takes: cleaning writes what is still needed of eight segments as one."""

MAX_REQUEST_BYTES = MAX_SEGMENT_BYTES + 1024 * 1024
"""The largest segment and its framing; a dead letter, Kafka's largest record and its headers, is smaller."""

COMMITTED_SECONDS = 30.0
"""For reading a committed offset: the coordinator may have to be found first."""


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
        """Deliver again from ``offset`` on."""
        await self._app.consumer.seek(self._tp(partition), offset)

    def end(self, partition: int) -> int | None:
        """One past the last offset the consumer has heard of."""
        found: int | None = self._app.consumer.highwater(self._tp(partition))
        return found


def transactional_producers(settings: Settings) -> Callable[[str], AIOKafkaProducer]:
    """Makes a producer of the given transactional id, to be started."""

    def new_producer(transactional_id: str) -> AIOKafkaProducer:
        return AIOKafkaProducer(
            bootstrap_servers=[server.strip() for server in settings.bootstrap_servers.split(",")],
            client_id="cascadecast",
            transactional_id=transactional_id,
            compression_type="lz4",
            linger_ms=5,
            max_request_size=MAX_REQUEST_BYTES,
            request_timeout_ms=int(settings.delivery_timeout_seconds * 1000),
            transaction_timeout_ms=int(settings.delivery_timeout_seconds * 1000),
            **settings.kafka_security().aiokafka(),
        )

    return new_producer


def committed_reader(settings: Settings) -> Callable[[str, AioTopicPartition], Any]:
    """Reads a group's committed offset and its metadata; the offset is negative where there is none."""
    from confluent_kafka import Consumer, TopicPartition

    config = kafka_client_config(settings.bootstrap_servers, settings.kafka_security())

    def read(group: str, place: AioTopicPartition) -> tuple[int, str]:
        # Never subscribes, so it never joins the group. Read committed: a transaction under way is waited for.
        consumer = Consumer({**config, "group.id": group, "isolation.level": "read_committed"})
        try:
            (found,) = consumer.committed([TopicPartition(place.topic, place.partition)], timeout=COMMITTED_SECONDS)
        finally:
            consumer.close()
        return found.offset, found.metadata or ""

    async def read_in_thread(group: str, place: AioTopicPartition) -> tuple[int, str]:
        return await asyncio.to_thread(read, group, place)

    return read_in_thread
