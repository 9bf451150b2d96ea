"""Whether events lie on the partitions of their keys: a producer that parts otherwise tears cascades in two."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition

from graph import Event, decode_event
from streams.kafka.clients import kafka_client_config
from streams.kafka.partitioner import partition_of

NEWEST: Final = 200
"""Events of each partition that are looked at: what was mended in the meantime soon counts no more."""

READ_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Placement:
    """Of ``seen`` events, ``misplaced`` ones lie on another partition than that of their key."""

    seen: int
    misplaced: int


def placement_of_newest(bootstrap_servers: str, topic: str, partitions: int, group: str) -> Placement:
    """Look at the newest events of each partition; what has no key of its own is sent on by workers anyway.

    ``group`` is only named, never joined. What a broker does not hand out in time is not looked at.
    """
    consumer = Consumer(
        {
            **kafka_client_config(bootstrap_servers),
            "group.id": group,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_uncommitted",
            "error_cb": lambda error: None,
        }
    )
    try:
        return _look(consumer, topic, partitions)
    finally:
        consumer.close()


def _look(consumer: Consumer, topic: str, partitions: int) -> Placement:
    deadline = time.monotonic() + READ_SECONDS
    reading = {number: _begin(consumer, TopicPartition(topic, number)) for number in range(partitions)}
    consumer.assign([TopicPartition(topic, number, offset) for number, offset in reading.items()])
    seen = misplaced = 0
    while reading and (left := deadline - time.monotonic()) > 0:
        message = consumer.poll(left)
        if message is None:
            break
        number = message.partition()
        if (error := message.error()) is not None:
            if error.code() == KafkaError._PARTITION_EOF and number is not None:
                reading.pop(number, None)
            continue
        event = decode_event(message.value() or b"")
        if number in reading and isinstance(event, Event) and message.key() == event.cascade.encode():
            seen += 1
            misplaced += partition_of(event.cascade, partitions) != number
    return Placement(seen, misplaced)


def _begin(consumer: Consumer, place: TopicPartition) -> int:
    try:
        first, end = consumer.get_watermark_offsets(place, timeout=ANSWER_SECONDS)
    except KafkaException:
        return int(OFFSET_END)
    return max(int(first), int(end) - NEWEST)
