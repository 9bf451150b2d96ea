"""What Kafka itself says of the records of the events topic: where they end, and of which offsets there are none."""

from __future__ import annotations

from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from streams.broker import EmbeddedBroker
from streams.kafka.event_ends import KafkaEventEnds
from streams.settings import Settings
from tests.integration.harness import Stream


def test_the_first_record_from_an_offset_on(kafka: EmbeddedBroker, topic_prefix: str) -> None:
    """Of two partitions in turn: one whose beginning was deleted, one that holds the mark of a transaction."""
    stream = Stream(kafka.bootstrap_servers, topic_prefix).create()
    topic = f"{topic_prefix}.events"
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": topic_prefix})
    producer.init_transactions(10.0)
    for records in (10, 2):
        producer.begin_transaction()
        for partition in (0, 1):
            for _ in range(records):
                producer.produce(topic, b"a record", partition=partition)
        producer.commit_transaction(10.0)
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    for deleted in admin.delete_records([TopicPartition(topic, 0, 4)]).values():
        deleted.result(10.0)
    ends = KafkaEventEnds(Settings(bootstrap_servers=kafka.bootstrap_servers, topic_prefix=stream.prefix))
    assert ends.of([0, 1, 2]) == {0: 14, 1: 14, 2: 0}, "a mark after each transaction"
    assert [ends.first_from(0, offset) for offset in (0, 3, 4, 5)] == [4, 4, 4, 5], "the first four were deleted"
    assert [ends.first_from(1, offset) for offset in (0, 9, 10, 11)] == [0, 9, 11, 11], "a mark is no record"
    assert [ends.first_from(1, offset) for offset in (13, 14)] == [None, None], "but a mark, there is none"
    assert ends.first_from(0, 20) is None, "nor beyond the end"
    assert ends.first_from(2, 0) is None
