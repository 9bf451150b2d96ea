"""Where the partitions of the events topic end, asked apart from the worker's consumer, which may be what hangs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from confluent_kafka import Consumer, KafkaException, TopicPartition

from streams.kafka.clients import kafka_client_config
from streams.settings import Settings

ANSWER_SECONDS: Final = 3.0


class EventEnds(Protocol):
    """What the watchdog asks Kafka."""

    def of(self, partitions: Sequence[int]) -> Mapping[int, int] | None:
        """One past the last offset of each; None when Kafka does not answer."""

    def can_be_read(self, partition: int, offset: int) -> bool:
        """Whether there is a record at or after the offset."""


class KafkaEventEnds:
    """Asks with a client of its own, which joins no group."""

    def __init__(self, settings: Settings) -> None:
        self._topic = f"{settings.topic_prefix}.events"
        self._consumer = Consumer(
            {
                **kafka_client_config(settings.bootstrap_servers, settings.kafka_security()),
                "group.id": settings.app_id,  # never subscribes; named so for brokers that allow only this group
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_uncommitted",
                "error_cb": lambda error: None,
            }
        )

    def of(self, partitions: Sequence[int]) -> Mapping[int, int] | None:
        """One past the last offset of each; None when Kafka does not answer."""
        try:
            return {
                number: self._consumer.get_watermark_offsets(
                    TopicPartition(self._topic, number), timeout=ANSWER_SECONDS
                )[1]
                for number in partitions
            }
        except KafkaException:
            return None

    def can_be_read(self, partition: int, offset: int) -> bool:
        """Whether there is a record at or after the offset."""
        self._consumer.assign([TopicPartition(self._topic, partition, offset)])
        try:
            message = self._consumer.poll(ANSWER_SECONDS)
        finally:
            self._consumer.unassign()
        return message is not None and message.error() is None
