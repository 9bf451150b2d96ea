"""A plain Faust agent that counts events per key in a table, as Faust's documentation writes it.

``python -m streams.bench.references.faust_count BOOTSTRAP TOPIC RECORDS PARTITIONS DIRECTORY``
"""

from __future__ import annotations

import sys

import faust

from streams.bench.references.report import Report, leave


def main() -> None:
    """Count so many records, report, end."""
    bootstrap, topic, records, partitions, directory = sys.argv[1:]
    app = faust.App(
        "faust-count",
        broker=f"kafka://{bootstrap}",
        store="rocksdb://",
        datadir=directory,
        topic_partitions=int(partitions),
        web_enabled=False,
        worker_redirect_stdouts=False,
        consumer_auto_offset_reset="earliest",
    )
    source = app.topic(topic, key_type=bytes, value_type=bytes, internal=False)
    counts = app.Table("counts", default=int, options={"driver": "rocksdict"})
    report = Report(int(records))

    @app.agent(source)
    async def count(stream: faust.StreamT) -> None:
        async for event in stream.events():
            counts[event.key.decode()] += 1
            if report.add(1):
                leave()

    sys.argv = ["faust-count", "worker", "--loglevel", "error"]
    app.main()


if __name__ == "__main__":
    main()
