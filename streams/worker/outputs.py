"""Where a partition's outputs go: forecasts, scores and dead letters, each at least once or, by transactions, once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import ProducerFenced
from aiokafka.structs import OffsetAndMetadata

from streams.worker.progress import OutputKey, Progress

log = structlog.get_logger("cascadecast.outputs")

Message = tuple[bytes | None, bytes, list[tuple[str, bytes]]]
"""Key, value and headers of a record to be published."""


@dataclass(frozen=True, slots=True)
class Output:
    """One record to be published on a topic (its name without the prefix), and what it is."""

    topic: str
    message: Message
    key: OutputKey


class SupersededError(Exception):
    """Another worker has taken the partition over; nothing of what was to be published is out, or ever will be."""


class Publisher(Protocol):
    """Where records go; returns once Kafka has acknowledged them all."""

    async def publish(self, topic: str, messages: Sequence[Message]) -> None:
        """Send (key, value, headers) messages."""


class Outputs(Protocol):
    """What the worker does with the outputs of its partitions."""

    async def take_over(self, partition: int) -> None:
        """Be the one who publishes for the partition."""

    async def release(self, partition: int) -> None:
        """Publish no more for it."""

    async def publish(self, partition: int, outputs: Sequence[Output], forecasts_before: float) -> list[Output]:
        """Publish and return what was published, once Kafka has acknowledged all.

        ``forecasts_before``: with these, every forecast as of an earlier time is out. Raises `SupersededError` when
        another worker publishes for the partition, else what the producer raises.
        """

    async def note(self, partition: int, forecasts_before: float) -> None:
        """Note how far outputs are out, the way they go, though there is nothing to publish. Raises as `publish`."""


class DirectOutputs:
    """At least once: what is made again after a crash is published again."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    async def take_over(self, partition: int) -> None:
        """Nothing is to be done: anybody may publish."""

    async def release(self, partition: int) -> None:
        """Nothing is to be done."""

    async def publish(self, partition: int, outputs: Sequence[Output], forecasts_before: float) -> list[Output]:
        """Publish all."""
        del partition, forecasts_before
        by_topic: dict[str, list[Message]] = {}
        for output in outputs:
            by_topic.setdefault(output.topic, []).append(output.message)
        await asyncio.gather(*(self._publisher.publish(topic, sent) for topic, sent in by_topic.items()))
        return list(outputs)

    async def note(self, partition: int, forecasts_before: float) -> None:
        """Nothing is noted, and the state's own changelog has gone the same way."""


@dataclass(slots=True)
class _Writer:
    """The one producer of a partition's outputs, and what it has published."""

    producer: AIOKafkaProducer
    progress: Progress
    lock: asyncio.Lock


class TransactionalOutputs:
    """Exactly once, for consumers that read committed records only.

    A partition's outputs have a transactional id of their own. Whoever takes the partition over ends the transactions
    of whoever had it, and reads how far that one's outputs are out: this stands beside an offset of the group
    ``<app_id>-outputs``, written in the same transaction as the outputs.
    """

    def __init__(
        self,
        new_producer: Callable[[str], AIOKafkaProducer],
        read_committed: Callable[[str, TopicPartition], Awaitable[tuple[int, str]]],
        app_id: str,
        prefix: str,
    ) -> None:
        """``new_producer`` makes a producer with a transactional id, ``read_committed`` reads a group's offset with its
        metadata."""
        self._new_producer = new_producer
        self._read_committed = read_committed
        self._prefix = prefix
        self._group: Final = f"{app_id}-outputs"
        self._writers: dict[int, _Writer] = {}

    def _place(self, partition: int) -> TopicPartition:
        return TopicPartition(f"{self._prefix}.events", partition)

    async def take_over(self, partition: int) -> None:
        """Fence off the former owner, then read what it has published."""
        await self.release(partition)
        producer = self._new_producer(f"{self._group}-{partition}")
        try:
            await producer.start()
            progress = Progress.read(*await self._read_committed(self._group, self._place(partition)))
        except BaseException:
            await producer.stop()
            raise
        self._writers[partition] = _Writer(producer, progress, asyncio.Lock())

    async def release(self, partition: int) -> None:
        """Close the partition's producer, once what it has begun is out."""
        writer = self._writers.pop(partition, None)
        if writer is not None:
            async with writer.lock:
                await writer.producer.stop()

    async def publish(self, partition: int, outputs: Sequence[Output], forecasts_before: float) -> list[Output]:
        """Publish what is not out yet, in one transaction with the note that it is."""
        async with self._writing(partition) as writer:
            wanted = [output for output in outputs if not writer.progress.has(output.key)]
            if wanted:
                await self._commit(writer, partition, wanted, forecasts_before)
        return wanted

    async def note(self, partition: int, forecasts_before: float) -> None:
        """A transaction of the note alone, which also keeps Kafka from forgetting it."""
        async with self._writing(partition) as writer:
            await self._commit(writer, partition, [], forecasts_before)

    @asynccontextmanager
    async def _writing(self, partition: int) -> AsyncIterator[_Writer]:
        """The partition's writer, for us alone. Raises `SupersededError`."""
        writer = self._writers.get(partition)
        if writer is None:
            raise SupersededError(f"partition {partition} is another worker's")
        async with writer.lock:  # waiters get it in the order in which they asked, so forecasts stay in order
            if self._writers.get(partition) is not writer:
                raise SupersededError(f"partition {partition} was let go")
            yield writer

    async def _commit(
        self, writer: _Writer, partition: int, outputs: Sequence[Output], forecasts_before: float
    ) -> None:
        producer = writer.producer
        progress = writer.progress.after([output.key for output in outputs], forecasts_before)
        note: dict[Any, Any] = {self._place(partition): OffsetAndMetadata(progress.letters_before, progress.metadata())}
        try:
            async with producer.transaction():
                sent = [await self._send(producer, output) for output in outputs]
                await producer.send_offsets_to_transaction(note, self._group)
                await asyncio.gather(*sent)
        except ProducerFenced:
            log.warning("another worker publishes for this partition now", partition=partition)
            raise SupersededError(f"partition {partition} is another worker's") from None
        writer.progress = progress

    async def _send(self, producer: AIOKafkaProducer, output: Output) -> asyncio.Future[Any]:
        key, value, headers = output.message
        sent: asyncio.Future[Any] = await producer.send(
            f"{self._prefix}.{output.topic}", value, key=key, headers=headers
        )
        return sent
