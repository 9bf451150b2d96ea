"""How many bytes of durable state an event costs: at full speed, and when events come one by one.

At full speed a segment holds hundreds of events; at ten a second each lies in a segment of its own, with a header.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Producer

from graph import Event
from streams.bench.installation import PREFIX, BenchWorker, produce, producer, send_all
from streams.bench.rows import row
from streams.bench.stream import endless, record
from streams.broker import EmbeddedBroker
from streams.kafka.security import KafkaSecurity
from streams.kafka.topics import create_topics, declared_topics

TARGET_BYTES: Final = 150.0
SLOW_FACTOR: Final = 3.0
LEAD_SECONDS: Final = 5.0
EVENTS_PER_HOUR: Final = 10_000.0
"""Of event time: with a day's retention a quarter of a million events are live."""


@dataclass(frozen=True, slots=True)
class ChangelogPlan:
    """``events`` at full speed, then ``slow_seconds`` at ``slow_rate`` a second."""

    events: int = 400_000
    slow_seconds: float = 60.0
    slow_rate: float = 10.0
    partitions: int = 4
    models: str = "hawkes"
    seed: int = 0


def run(plan: ChangelogPlan, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """The rows of ``cascadecast bench changelog``."""
    stream = endless(EVENTS_PER_HOUR, plan.seed)
    with tempfile.TemporaryDirectory() as scratch, EmbeddedBroker() as broker:
        server = broker.bootstrap_servers
        create_topics(server, declared_topics(plan.partitions, 1, PREFIX), security=KafkaSecurity())
        with BenchWorker(server, Path(scratch), {"MODELS": plan.models, "SHED": "false"}) as worker:
            worker.start().wait_ready()
            tell("full speed")
            sender = producer(server)
            count = send_all(sender, f"{PREFIX}.events", map(record, islice(stream, plan.events)))
            fast = _settled(worker, count) / count
            tell("one by one")
            # What was kept for scoring since the last batch at full speed is written with the first ones now.
            begun = _trickle(sender, stream, plan.slow_rate, LEAD_SECONDS)
            before = _settled(worker, count + begun)
            slow_count = _trickle(sender, stream, plan.slow_rate, plan.slow_seconds)
            slow = (_settled(worker, count + begun + slow_count) - before) / slow_count
    return [
        row("changelog bytes an event, full speed", fast, "bytes", "at most", TARGET_BYTES),
        row(
            f"changelog bytes an event, {plan.slow_rate:g} events/s",
            slow,
            "bytes",
            "at most",
            SLOW_FACTOR * TARGET_BYTES,
        ),
        row("events at full speed", count, "events", f"then at {plan.slow_rate:g} a second", slow_count),
    ]


def _bytes(worker: BenchWorker) -> float:
    return worker.metric("cascadecast_changelog_bytes_total")


def _settled(worker: BenchWorker, records: int) -> float:
    """Bytes written once so many records are taken in and their forecasts are out."""
    worker.wait_until(lambda: worker.metric("cascadecast_events_received_total") >= records, "done")
    worker.wait_until(lambda: worker.metric("cascadecast_forecasts_waiting") == 0, "done with its forecasts")
    time.sleep(1.0)
    return _bytes(worker)


def _trickle(sender: Producer, stream: Iterator[Event], rate: float, seconds: float) -> int:
    began = time.monotonic()
    count = 0
    while (now := time.monotonic() - began) < seconds:
        if count < now * rate:
            key, value = record(next(stream))
            produce(sender, f"{PREFIX}.events", value, key)
            sender.flush()
            count += 1
        else:
            time.sleep(0.01)
    return count
