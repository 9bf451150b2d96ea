"""Whether an event costs more when several workers share the partitions: it should not, they share nothing but Kafka.

Rates of processor time: the machine may have no core for each worker beside Kafka and the feed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from streams.bench.installation import PREFIX, BenchWorker, producer, send_all
from streams.bench.rows import row
from streams.bench.throughput import RECEIVED, Tell, scratch
from streams.broker import EmbeddedBroker
from streams.kafka.security import KafkaSecurity
from streams.kafka.topics import create_topics, declared_topics

TARGET_SCALING: Final = 0.85
"""Of each worker's rate alone: two workers then take in 1.7 times what one does."""


def run(
    records: Sequence[tuple[bytes, bytes]], partitions: int, settings: dict[str, str], tell: Tell
) -> list[dict[str, Any]]:
    """The rate of one worker, and of each of two, over the same (key, value) records, sent while they run.

    No rows where one partition leaves nothing to share.
    """
    if partitions < 2:
        return []
    alone = _rate(records, partitions, settings, 1, tell)
    each = _rate(records, partitions, settings, 2, tell)
    return [
        row(
            "two workers, state only: events a second of processor time of each", each, "events/s", "one worker", alone
        ),
        row("two workers, state only: share of one worker's rate", each / alone, "", "at least", TARGET_SCALING),
    ]


def _rate(
    records: Sequence[tuple[bytes, bytes]], partitions: int, settings: dict[str, str], workers: int, tell: Tell
) -> float:
    tell(f"{workers} workers that only keep the state" if workers > 1 else "one worker, fed while it runs")
    with tempfile.TemporaryDirectory() as name, EmbeddedBroker() as broker, ExitStack() as stack:
        server = broker.bootstrap_servers
        create_topics(server, declared_topics(partitions, 1, PREFIX), security=KafkaSecurity())
        running = [
            stack.enter_context(BenchWorker(server, scratch(Path(name), str(number)), settings)).start()
            for number in range(workers)
        ]
        running[0].wait_until(lambda: all(owned := _owned(running)) and sum(owned) == partitions, "sharing the work")
        used = sum(worker.processor_seconds() for worker in running)
        send_all(producer(server), f"{PREFIX}.events", records)
        running[0].wait_until(lambda: _sum(running, lambda worker: worker.metric(RECEIVED)) >= len(records), "done")
        return len(records) / (_sum(running, BenchWorker.processor_seconds) - used)


def _owned(workers: Sequence[BenchWorker]) -> list[int]:
    """How many partitions each has, once all are ready."""
    return [
        worker.samples("cascadecast_next_offset") if worker.metric("cascadecast_ready") else 0 for worker in workers
    ]


def _sum(workers: Sequence[BenchWorker], of: Callable[[BenchWorker], float]) -> float:
    return sum(map(of, workers))
