"""A bare confluent-kafka consumer that decodes events and does nothing with them: as fast as Python can read Kafka.

``python -m streams.bench.references.confluent_decode BOOTSTRAP TOPIC RECORDS``
"""

from __future__ import annotations

import sys

from confluent_kafka import Consumer

from graph.events import decode_batch
from streams.bench.references.report import Report


def main() -> None:
    """Decode so many records, report, end."""
    bootstrap, topic, records = sys.argv[1:4]
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "confluent-decode", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    report = Report(int(records))
    done = False
    while not done:
        found = consumer.consume(4000, 0.1)
        decode_batch([message.value() for message in found if message.error() is None])
        done = report.add(len(found))
    consumer.close()


if __name__ == "__main__":
    main()
