"""The workers' changelog in Kafka, read as a recovering worker reads it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from graph.errors import UserError
from streams.kafka.clients import connect, kafka_client_config
from streams.settings import Settings

TIMEOUT_SECONDS: Final = 30.0
"""Without a word from Kafka for so long, a reader gives up."""

_READ_AT_ONCE: Final = 2000


@dataclass(frozen=True, slots=True)
class StoredSegment:
    """A segment's bytes, and where in the changelog they lie."""

    value: bytes
    offset: int


def changelog_topic(app_id: str) -> str:
    """Faust's name for the changelog of the table of segments."""
    return f"{app_id}-segments-changelog"


class ChangelogReader:
    """Reads the changelog of an app id, and records of other topics beside it; joins no group, commits nothing."""

    def __init__(self, consumer: Consumer, settings: Settings) -> None:
        self._consumer = consumer
        self._settings = settings
        self.topic = changelog_topic(settings.app_id)

    def partitions(self) -> list[int]:
        """Of the changelog. Raises UserError when Kafka or the changelog is not there."""
        _, metadata = connect(self._settings.bootstrap_servers, self._settings.kafka_security())
        found = metadata.topics.get(self.topic)
        if found is None or not found.partitions:
            raise UserError(f"no topic {self.topic}: no worker with app id {self._settings.app_id!r} has run here")
        return sorted(found.partitions)

    def segments(self, partition: int) -> dict[bytes, StoredSegment]:
        """What the changelog of a partition holds now, by key. Raises UserError when Kafka falls silent."""
        held: dict[bytes, StoredSegment] = {}
        for message in self.records(self.topic, partition):
            key, value = message.key() or b"", message.value()
            if value is None:
                held.pop(key, None)
            else:
                held[key] = StoredSegment(value, message.offset() or 0)
        return held

    def offsets(self, topic: str, partition: int) -> tuple[int, int]:
        """The first offset there is, and one past the last. Raises UserError when there is no such topic."""
        try:
            first, end = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10.0)
        except KafkaException as error:
            raise UserError(f"{topic} partition {partition}: {error.args[0].str()}") from None
        return int(first), int(end)

    def records(self, topic: str, partition: int, until: int | None = None) -> Iterator[Message]:
        """Every record of a partition from the first on: up to its end as it is now, or to the offset ``until``."""
        self._consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
        heard = monotonic()
        while monotonic() - heard < TIMEOUT_SECONDS:
            # A call waits its whole time unless so many messages come: short waits, many messages.
            for message in self._consumer.consume(_READ_AT_ONCE, timeout=0.1):
                heard = monotonic()
                error = message.error()
                if error is not None:
                    if error.code() == KafkaError._PARTITION_EOF:
                        return
                    raise UserError(f"{topic} partition {partition}: {error.str()}")
                if until is not None and (message.offset() or 0) >= until:
                    return
                yield message
        raise UserError(f"{topic} partition {partition}: Kafka sent nothing for {TIMEOUT_SECONDS:.0f} s; try again")


@contextmanager
def changelog_reader(settings: Settings) -> Iterator[ChangelogReader]:
    """A reader of the changelog of ``settings.app_id``."""
    consumer = Consumer(
        {
            **kafka_client_config(settings.bootstrap_servers, settings.kafka_security()),
            "group.id": f"{settings.app_id}-state-tools",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 10,  # the end of a partition is told by an empty answer, which would wait longer
        }
    )
    try:
        yield ChangelogReader(consumer, settings)
    finally:
        consumer.close()
