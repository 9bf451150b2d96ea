"""How long after an event its alert can be read: a real worker at half of the rate it keeps up with.

The stream is live: an event's time is that at which it is sent. Each post's third reshare opens an alert. What is
measured reaches from the sending of the last event that the alert's forecast included to the alert's arrival at a
consumer. It includes what event time makes a forecast wait: up to ``delay_seconds`` for the end of its slot, and the
allowed lateness.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import numpy as np
from confluent_kafka import Consumer, TopicPartition

from graph import Event
from graph.errors import UserError
from streams.alerts.records import AlertRecord, AlertState
from streams.bench.installation import PREFIX, BenchWorker, produce, producer
from streams.bench.rows import row
from streams.bench.stream import endless, record
from streams.broker import EmbeddedBroker
from streams.kafka.security import KafkaSecurity
from streams.kafka.topics import create_topics, declared_topics

T = TypeVar("T")

P99_TARGET_SECONDS: Final = 2.0

RULES: Final = '[[rule]]\nname = "third"\nobserved = 3\n'

AHEAD_RECORDS: Final = 4_000
"""Of the search for the maximal rate: so many records lie in Kafka before the worker."""

MEDIAN_DELAY_SECONDS: Final = 4.0
"""Of a reshare: so short that the stream settles, and posts have three of them, within the run."""

LOT_RECORDS: Final = 200
WARM_UP_SHARE: Final = 0.4
FULL_SPEED_PER_HOUR: Final = 500 * 3600.0
"""Event time runs at full speed as it would at 500 events a second: as many of a post fall into one slot."""


@dataclass(frozen=True, slots=True)
class AlertPlan:
    """Half of the time at full speed, half at half of the rate found, or all at ``rate`` events a second."""

    seconds: float = 120.0
    rate: float | None = None
    models: str = "trees"
    delay_seconds: float = 0.5
    lateness_seconds: float = 0.1
    partitions: int = 4


def run(plan: AlertPlan, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """The rows of ``cascadecast bench alerts``. Raises UserError when no alert came."""
    if plan.rate is None:
        tell("full speed")
        maximal = _with_worker(plan, lambda server, worker: _full_speed(server, worker, plan.seconds / 2))
    else:
        maximal = 2.0 * plan.rate
    rate = maximal / 2.0
    tell(f"live at {rate:.0f} events/s")
    latencies, published = _with_worker(plan, lambda server, worker: _live(server, worker, plan, rate))
    if not len(latencies):
        raise UserError("no alert came: give more --seconds, or a lower --rate")
    waits = plan.delay_seconds + plan.lateness_seconds
    return [
        row("events a worker keeps up with", maximal, "events/s"),
        row("live events", rate, "events/s", "kept up with", maximal),
        row("alerts measured", len(latencies), "alerts"),
        row("event to alert, median", float(np.quantile(latencies, 0.5)), "s", "most that event time waits", waits),
        row("event to alert, p99", float(np.quantile(latencies, 0.99)), "s", "target", P99_TARGET_SECONDS),
        row("event to alert, longest", float(latencies.max()), "s"),
        row("due to acknowledged alert, mean", published, "s"),
    ]


def _with_worker(plan: AlertPlan, act: Callable[[str, BenchWorker], T]) -> T:
    """Act on a Kafka and a worker of their own."""
    with tempfile.TemporaryDirectory() as scratch, EmbeddedBroker() as broker:
        server = broker.bootstrap_servers
        create_topics(server, declared_topics(plan.partitions, 1, PREFIX), security=KafkaSecurity())
        rules = Path(scratch) / "rules.toml"
        rules.write_text(RULES, encoding="utf-8")
        with BenchWorker(server, Path(scratch), _settings(plan, rules)) as worker:
            worker.start().wait_ready()
            return act(server, worker)


def _settings(plan: AlertPlan, rules: Path) -> dict[str, str]:
    return {
        "MODELS": plan.models,
        "FORECAST_DELAY_SECONDS": f"{plan.delay_seconds:g}",
        "ALLOWED_LATENESS_SECONDS": f"{plan.lateness_seconds:g}",
        "SHED": "false",
        "MAX_BACKLOG": "500",
        "ALERT_RULES": str(rules),
    }


def _full_speed(server: str, worker: BenchWorker, seconds: float) -> float:
    """Events a second that the worker takes in while every forecast is made."""
    sender, stream, sent = producer(server), endless(FULL_SPEED_PER_HOUR, median_delay_seconds=MEDIAN_DELAY_SECONDS), 0
    began, since = time.monotonic(), (0.0, 0.0)
    while (passed := time.monotonic() - began) < seconds:
        received = worker.metric("cascadecast_events_received_total")
        if not since[0] and passed > WARM_UP_SHARE * seconds:
            since = passed, received
        while sent - received < AHEAD_RECORDS:
            for key, value in map(record, islice(stream, LOT_RECORDS)):
                produce(sender, f"{PREFIX}.events", value, key)
            sent += LOT_RECORDS
        sender.flush()
        time.sleep(0.1)
    received = worker.metric("cascadecast_events_received_total")
    return (received - since[1]) / (time.monotonic() - began - since[0])


def _live(server: str, worker: BenchWorker, plan: AlertPlan, rate: float) -> tuple[Any, float]:
    """Latencies (n,) in seconds of all alerts after the warm-up, and what the worker itself says of them on average."""
    arrivals = _Arrivals(server, plan.partitions)
    sent: dict[str, float] = {}
    sender = producer(server)
    began = time.time()
    stream = endless(rate * 3600.0, start=began, median_delay_seconds=MEDIAN_DELAY_SECONDS)
    for event in _paced(stream, began + plan.seconds / 2):
        key, value = record(event)
        sent[event.id] = time.time()
        produce(sender, f"{PREFIX}.events", value, key)
        sender.poll(0)
    sender.flush()
    time.sleep(plan.delay_seconds + plan.lateness_seconds + P99_TARGET_SECONDS)
    warm = began + WARM_UP_SHARE * plan.seconds / 2
    found = [at - sent[event] for event, at in arrivals.stop() if sent.get(event, 0.0) > warm]
    name = "cascadecast_alert_latency_seconds"
    mean = worker.metric(f"{name}_sum") / max(1.0, worker.metric(f"{name}_count"))
    return np.array(found), mean


def _paced(events: Iterator[Event], until: float) -> Iterator[Event]:
    """Each event when its time has come, up to ``until``."""
    for event in events:
        if event.time > until:
            return
        while (left := event.time - time.time()) > 0.0:
            time.sleep(min(left, 0.05))
        yield event


class _Arrivals:
    """When each opened alert could be read, by the last event that its forecast included; read in a thread."""

    def __init__(self, server: str, partitions: int) -> None:
        self._consumer = Consumer({"bootstrap.servers": server, "group.id": "bench-alerts", "fetch.wait.max.ms": 10})
        self._consumer.assign([TopicPartition(f"{PREFIX}.alerts", number, 0) for number in range(partitions)])
        self._found: list[tuple[str, float]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, name="bench-alerts", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        decode = msgspec.json.Decoder(AlertRecord).decode
        while not self._stop.is_set():
            message = self._consumer.poll(0.1)
            if message is not None and message.error() is None:
                alert = decode(message.value() or b"")
                if alert.state is AlertState.OPENED:
                    self._found.append((alert.event, time.time()))
        self._consumer.close()

    def stop(self) -> list[tuple[str, float]]:
        """All that came."""
        self._stop.set()
        self._thread.join()
        return self._found
