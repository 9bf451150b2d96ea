"""A bare aiokafka consumer that decodes events and does nothing with them.

``python -m streams.bench.references.aiokafka_decode BOOTSTRAP TOPIC RECORDS``
"""

from __future__ import annotations

import asyncio
import sys

from aiokafka import AIOKafkaConsumer

from graph.events import decode_batch
from streams.bench.references.report import Report


async def main() -> None:
    """Decode so many records, report, end."""
    bootstrap, topic, records = sys.argv[1:4]
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, group_id=None, auto_offset_reset="earliest", max_poll_records=4000
    )
    await consumer.start()
    report = Report(int(records))
    done = False
    while not done:
        for found in (await consumer.getmany(timeout_ms=1000)).values():
            decode_batch([record.value for record in found])
            done |= report.add(len(found))
    await consumer.stop()


if __name__ == "__main__":
    asyncio.run(main())
