"""Read the durable state from its changelog in Kafka, as a recovering worker would, and list the cascades."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from graph.errors import UserError
from streams.kafka_clients import kafka_client_config
from streams.partition import Partition
from streams.segment_log import SegmentLog
from streams.segment_store import MemorySegmentStore
from streams.settings import Settings

TIMEOUT_SECONDS = 30.0


class CascadeState(msgspec.Struct, frozen=True):
    """What the state holds of one live cascade."""

    cascade: str
    partition: int
    size: int
    depth: int
    users: int
    nodes: int
    root_time: float
    last_time: float
    rooted: bool


def changelog_topic(app_id: str) -> str:
    """Faust's name for the changelog of the table of segments."""
    return f"{app_id}-segments-changelog"


def export_state(settings: Settings) -> Iterator[CascadeState]:
    """Every live cascade in the changelog of ``settings.app_id``, partition by partition.

    Raises UserError when Kafka or the changelog is not there.
    """
    topic = changelog_topic(settings.app_id)
    consumer = Consumer(
        {
            **kafka_client_config(settings.bootstrap_servers, settings.kafka_security()),
            "group.id": f"{settings.app_id}-state-export",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
        }
    )
    try:
        numbers = _partitions(consumer, topic, settings)
        settings = settings.model_copy(update={"partitions": len(numbers)})  # the bound on bytes is shared among them
        for number in numbers:
            partition = Partition(number, settings)
            SegmentLog(MemorySegmentStore(_segments(consumer, topic, number))).load(partition)
            for cascade in sorted(partition.store, key=lambda cascade: cascade.id):
                yield CascadeState(
                    cascade=cascade.id,
                    partition=number,
                    size=cascade.size,
                    depth=cascade.depth,
                    users=cascade.users,
                    nodes=cascade.nodes,
                    root_time=cascade.root_time,
                    last_time=cascade.last_time,
                    rooted=cascade.has_root,
                )
    finally:
        consumer.close()


def _partitions(consumer: Consumer, topic: str, settings: Settings) -> list[int]:
    try:
        metadata = consumer.list_topics(topic, timeout=10.0)
    except KafkaException as error:
        raise UserError(
            f"no Kafka at {settings.bootstrap_servers} ({error.args[0].str()}); give --bootstrap-servers"
        ) from None
    found = metadata.topics[topic]
    if found.error is not None or not found.partitions:
        raise UserError(f"no topic {topic}: no worker with app id {settings.app_id!r} has run here")
    return sorted(found.partitions)


def _segments(consumer: Consumer, topic: str, partition: int) -> dict[bytes, bytes]:
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
    segments: dict[bytes, bytes] = {}
    heard = monotonic()
    while monotonic() - heard < TIMEOUT_SECONDS:
        # A call waits its whole time unless so many messages come: short waits, many messages.
        for message in consumer.consume(1000, timeout=0.1):
            heard = monotonic()
            error = message.error()
            if error is not None:
                if error.code() == KafkaError._PARTITION_EOF:
                    return segments
                raise UserError(f"{topic} partition {partition}: {error.str()}")
            if message.value() is None:
                segments.pop(message.key(), None)
            else:
                segments[message.key()] = message.value()
    raise UserError(f"{topic} partition {partition}: Kafka sent nothing for {TIMEOUT_SECONDS:.0f} s; try again")
