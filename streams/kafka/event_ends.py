"""Where the partitions of the events topic end, and what of them can be read: asked apart from the worker's consumer,
which may be what hangs, or what passed records over."""

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

    def first_from(self, partition: int, offset: int) -> int | None:
        """The first offset, from ``offset`` on, of which there is a record; None where there is none, or no answer."""


class KafkaEventEnds:
    """Asks with a client of its own, which joins no group. To be asked by one thread at a time."""

    def __init__(self, settings: Settings) -> None:
        self._topic = f"{settings.topic_prefix}.events"
        self._consumer = Consumer(
            {
                **kafka_client_config(settings.bootstrap_servers, settings.kafka_security()),
                "group.id": settings.app_id,  # never subscribes; named so for brokers that allow only this group
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_uncommitted",
                "auto.offset.reset": "earliest",  # of what was deleted
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

    def first_from(self, partition: int, offset: int) -> int | None:
        """The first offset, from ``offset`` on, of which there is a record; None where there is none, or no answer."""
        self._consumer.assign([TopicPartition(self._topic, partition, offset)])
        try:
            message = self._consumer.poll(ANSWER_SECONDS)
        finally:
            self._consumer.unassign()
        found = message is not None and message.error() is None and message.offset() >= offset
        return message.offset() if found else None
