"""Whether a worker stays as it is: memory, descriptors and threads over minutes or hours, at full speed and paced.

Event time runs so fast that cascades mature, are scored, learned from and leave, all the time. Once as many are live as
will be, and after the first part of each phase, memory should not grow any more: its slope is fitted by least squares.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
from confluent_kafka import Producer

from graph import Event
from streams.bench.installation import PREFIX, BenchWorker, produce, producer
from streams.bench.rows import row
from streams.bench.stream import endless, record
from streams.broker import EmbeddedBroker
from streams.kafka.security import KafkaSecurity
from streams.kafka.topics import create_topics, declared_topics

DRIFT_TARGET: Final = 0.01
"""Growth over the observed part of a phase, as a share of the memory in use."""

SAMPLE_SECONDS: Final = 2.0
PAUSE_SECONDS: Final = 0.05
WARM_UP_SHARE: Final = 0.5
FILLING_HOURS: Final = 30.0
"""Of event time: by then the first cascades have left, and been scored, on however slow a machine."""

AHEAD_RECORDS: Final = 20_000
"""At full speed so many records lie in Kafka before the worker: it never waits, and never falls far behind."""

LOT_RECORDS: Final = 500


@dataclass(frozen=True, slots=True)
class SoakPlan:
    """First at full speed, then at ``rate`` events a second; ``events_per_hour`` are of event time."""

    minutes: float = 5.0
    fixed_minutes: float = 5.0
    rate: float = 500.0
    events_per_hour: float = 4_000.0
    partitions: int = 4
    models: str = "hawkes"
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """A worker at one moment."""

    seconds: float
    resident_bytes: int
    descriptors: int
    threads: int
    received: float
    live: float


def run(plan: SoakPlan, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """The rows of ``cascadecast bench soak``."""
    stream = endless(plan.events_per_hour, plan.seed)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch, EmbeddedBroker() as broker:
        server = broker.bootstrap_servers
        create_topics(server, declared_topics(plan.partitions, 1, PREFIX), security=KafkaSecurity())
        settings = {"MODELS": plan.models, "SHED": "false", "MAX_BACKLOG": "2000"}
        with BenchWorker(server, Path(scratch), settings) as worker:
            worker.start().wait_ready()
            feed = _Feed(producer(server), stream, worker)
            tell("filling the memory")
            feed.fill(plan.events_per_hour * FILLING_HOURS)
            full = _phase("full speed", 60.0 * plan.minutes, feed.full_speed, worker, tell)
            feed.catch_up()
            began, sent = time.monotonic(), feed.sent
            steady = _phase(
                "fixed rate",
                60.0 * plan.fixed_minutes,
                lambda: feed.up_to(sent + (time.monotonic() - began) * plan.rate),
                worker,
                tell,
            )
    rows += _verdict("full speed", full)
    rows += _verdict(f"{plan.rate:g} events/s", steady)
    return rows


class _Feed:
    """Sends what a phase asks for."""

    def __init__(self, sender: Producer, stream: Iterator[Event], worker: BenchWorker) -> None:
        self._sender = sender
        self._stream = stream
        self._worker = worker
        self.sent = 0

    def full_speed(self) -> None:
        """Keep the worker busy."""
        while self.sent - self._received() < AHEAD_RECORDS:
            for _ in range(AHEAD_RECORDS // (4 * LOT_RECORDS)):
                self._send(LOT_RECORDS)
            self._sender.flush()

    def fill(self, count: float) -> None:
        """Until the worker has taken in so many."""
        while self._received() < count:
            self.full_speed()
            time.sleep(PAUSE_SECONDS)

    def up_to(self, count: float) -> None:
        """Send until so many have been sent in all."""
        self._send(max(0, int(count) - self.sent))
        self._sender.flush()

    def catch_up(self) -> None:
        """Until the worker has taken in everything."""
        self._worker.wait_until(lambda: self._received() >= self.sent, "caught up")

    def _send(self, count: int) -> None:
        for key, value in map(record, islice(self._stream, count)):
            produce(self._sender, f"{PREFIX}.events", value, key)
        self.sent += count

    def _received(self) -> float:
        return self._worker.metric("cascadecast_events_received_total")


def _phase(
    name: str, seconds: float, feed: Callable[[], None], worker: BenchWorker, tell: Callable[[str], None]
) -> list[Sample]:
    began = time.monotonic()
    samples: list[Sample] = []
    while (now := time.monotonic() - began) < seconds:
        feed()
        if not samples or now - samples[-1].seconds >= SAMPLE_SECONDS:
            samples.append(_sample(worker, now))
            tell(f"{name}: {now:.0f} of {seconds:.0f} s, {samples[-1].resident_bytes / 1e6:.0f} MB")
        time.sleep(PAUSE_SECONDS)
    return samples


def _sample(worker: BenchWorker, seconds: float) -> Sample:
    process = Path("/proc") / str(worker.pid)
    return Sample(
        seconds,
        int((process / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"),
        len(list((process / "fd").iterdir())),
        len(list((process / "task").iterdir())),
        worker.metric("cascadecast_events_received_total"),
        worker.metric("cascadecast_live_cascades"),
    )


def _verdict(phase: str, samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """Of the part after the warm-up."""
    observed = [one for one in samples if one.seconds >= WARM_UP_SHARE * samples[-1].seconds]
    times = np.array([one.seconds for one in observed])
    memory = np.array([one.resident_bytes for one in observed], dtype=float)
    slope = float(np.polyfit(times, memory, 1)[0]) if len(observed) > 1 else 0.0
    drift = slope * (times[-1] - times[0]) / memory.mean()
    rate = (observed[-1].received - observed[0].received) / max(times[-1] - times[0], 1e-9)
    descriptors = [one.descriptors for one in observed]
    threads = [one.threads for one in observed]
    return [
        row(f"{phase}: growth of memory after the warm-up", drift, "share", "at most", DRIFT_TARGET),
        row(f"{phase}: resident memory", memory[-1], "bytes", "when the warm-up ended", memory[0]),
        row(f"{phase}: open descriptors, most", max(descriptors), "", "least", min(descriptors)),
        row(f"{phase}: threads, most", max(threads), "", "least", min(threads)),
        row(f"{phase}: events taken in", rate, "events/s"),
        row(f"{phase}: live cascades", observed[-1].live, "cascades", "when the warm-up ended", observed[0].live),
    ]
