"""How long a worker takes from its start to readiness, with its state on its own disk, and with the changelog alone.

The state is written by `SegmentLog` itself, batch by batch, straight into the changelog: posts over twenty hours, each
with reshares whose delays have a heavy tail, so that most chunks hold a single event, as in life. Beside it, the rate
at which the same worker takes in live events when no forecast is due: the hardest rate to be a multiple of.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from confluent_kafka import Producer
from confluent_kafka.admin import NewTopic

from graph import Event, Kind
from streams.bench.installation import APP_ID, PREFIX, BenchWorker, produce, producer, send_all
from streams.bench.rows import row
from streams.bench.stream import DELAY_SPREAD, HOUR, MEDIAN_DELAY_SECONDS, START
from streams.broker import EmbeddedBroker
from streams.engine.partition import Partition
from streams.kafka.clients import connect
from streams.kafka.partitioner import partition_of
from streams.kafka.security import KafkaSecurity
from streams.kafka.topics import create_topics, declared_topics
from streams.settings import Settings
from streams.state.changelog import changelog_topic
from streams.state.log import SegmentLog
from streams.state.store import MemorySegmentStore
from streams.worker.ownership import READ_AT_ONCE

LOCAL_TARGET_SECONDS: Final = 15.0
SPAN_SECONDS: Final = 20 * HOUR
LONGEST_DELAY_SECONDS: Final = 4 * HOUR
"""So that the first post is a day old in the end, and still live."""

_READING: Final = f"reading its partitions into memory, {READ_AT_ONCE} at a time, added up"

NEVER: Final = 1_000_000_000
"""Reshares that a post must have to be forecast: none is, so a worker does nothing but take events in."""


@dataclass(frozen=True, slots=True)
class RecoveryPlan:
    """How much state. ``batch`` events lie in a segment: the worker's own maximum at full speed, few at leisure."""

    cascades: int = 100_000
    events: int = 1_000_000
    batch: int = 2000
    partitions: int = 8
    live_events: int = 200_000
    seed: int = 0


def run(plan: RecoveryPlan, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """The rows of ``cascadecast bench recovery``."""
    engine: dict[str, Any] = {"partitions": plan.partitions, "models": ("hawkes",), "minimum_observed": NEVER}
    settings = Settings(**engine)
    own = {"MODELS": "hawkes", "MINIMUM_OBSERVED": str(NEVER), "SCORE_AGES_SECONDS": ""}
    with tempfile.TemporaryDirectory() as scratch, EmbeddedBroker() as broker:
        server = broker.bootstrap_servers
        create_topics(server, declared_topics(plan.partitions, 1, PREFIX), security=KafkaSecurity())
        tell("writing the state")
        stored = build(plan, settings, server, tell)
        with BenchWorker(server, Path(scratch), own) as worker:
            tell("starting from the changelog alone")
            alone = worker.start().wait_ready()
            alone_processor, alone_memory = worker.processor_seconds(), worker.metric("cascadecast_recovery_seconds")
            worker.stop()
            tell("starting from the local store")
            local = worker.start().wait_ready()
            local_processor, local_memory = worker.processor_seconds(), worker.metric("cascadecast_recovery_seconds")
            cascades = worker.metric("cascadecast_live_cascades")
            tell("taking in live events")
            live = live_rate(worker, server, plan)
            worker.stop()
            shutil.rmtree(worker.data_dir)
    return [
        row("ready, from the local store", local, "s", "at most", LOCAL_TARGET_SECONDS),
        row(_READING, local_memory, "s", "processor time of the whole start", local_processor),
        row("ready, from the changelog alone", alone, "s"),
        row(_READING, alone_memory, "s", "processor time of the whole start", alone_processor),
        row(
            "recovery rate, from the changelog alone",
            plan.events / alone,
            "events/s",
            "live events, no forecasts",
            live,
        ),
        row("events in the state", plan.events, "events"),
        row("cascades recovered", cascades, "cascades", "written", plan.cascades),
        row("bytes of state an event", stored / plan.events, "bytes"),
    ]


def build(plan: RecoveryPlan, settings: Settings, server: str, tell: Callable[[str], None]) -> int:
    """Write the state of all partitions into the changelog; the bytes it holds in the end."""
    admin, _ = connect(server, KafkaSecurity())
    topic = changelog_topic(APP_ID)
    made = admin.create_topics([NewTopic(topic, plan.partitions, 1, config={"cleanup.policy": "compact"})])
    made[topic].result(30.0)
    sender = producer(server)
    parted: list[list[int]] = [[] for _ in range(plan.partitions)]
    for number in range(plan.cascades):
        parted[partition_of(_cascade(number), plan.partitions)].append(number)
    stored = 0
    for number, cascades in enumerate(parted):
        store = _ChangelogStore(sender, topic, number)
        asyncio.run(_write(Partition(number, settings), SegmentLog(store), cascades, plan))
        stored += sum(map(len, store.segments.values()))
        tell(f"writing the state: partition {number + 1} of {plan.partitions}")
    sender.flush()
    return stored


class _ChangelogStore(MemorySegmentStore):
    """Segments in memory, for cleaning to read, and in the changelog."""

    def __init__(self, sender: Producer, topic: str, partition: int) -> None:
        super().__init__()
        self._sender = sender
        self._topic = topic
        self._partition = partition

    async def put(self, key: bytes, value: bytes) -> None:
        await super().put(key, value)
        produce(self._sender, self._topic, value, key, partition=self._partition)

    async def delete(self, key: bytes) -> None:
        await super().delete(key)
        produce(self._sender, self._topic, None, key, partition=self._partition)


async def _write(partition: Partition, log: SegmentLog, cascades: list[int], plan: RecoveryPlan) -> None:
    """As a worker whose forecasts are always out."""
    await log.recover(partition)
    batch: list[Event] = []
    for event in _events(cascades, plan):
        batch.append(event)
        if len(batch) == plan.batch:
            await _append(partition, log, batch)
            batch = []
    await _append(partition, log, batch)
    await log.checkpoint(partition)


async def _append(partition: Partition, log: SegmentLog, batch: list[Event]) -> None:
    changes = partition.apply_events(batch)
    partition.schedule.due(partition.watermark.value)
    await log.append(partition, changes, 0)  # none of them lies in the events topic: a worker begins there at its start


def _cascade(number: int) -> str:
    return f"post{number:08d}"


def _events(cascades: list[int], plan: RecoveryPlan) -> Iterator[Event]:
    """Of these cascades, in order of time."""
    chance = np.random.default_rng((plan.seed, cascades[0] if cascades else 0))
    each = plan.events // plan.cascades - 1
    began = START + chance.uniform(0.0, SPAN_SECONDS, len(cascades))
    delays = chance.lognormal(np.log(MEDIAN_DELAY_SECONDS), DELAY_SPREAD, (len(cascades), each))
    times = np.concatenate([began[:, None], began[:, None] + np.minimum(delays, LONGEST_DELAY_SECONDS)], axis=1).round(
        3
    )
    order = np.argsort(times, axis=None, kind="stable")
    users = chance.integers(0, 10 * plan.cascades, times.size)
    for place, time_, user in zip(order.tolist(), times.ravel()[order].tolist(), users.tolist(), strict=True):
        number, at = divmod(place, each + 1)
        name = _cascade(cascades[number])
        if at == 0:
            yield Event(name, name, Kind.POST, time_, user=f"u{user}", followers=1000)
        else:
            yield Event(f"{name}-{user}-{at}", name, Kind.REPOST, time_, user=f"u{user}", parent=name)


def live_rate(worker: BenchWorker, server: str, plan: RecoveryPlan) -> float:
    """Events a second that the worker takes in, decodes, applies and makes durable."""
    begin = START + 2 * SPAN_SECONDS
    events = (
        (
            name.encode(),
            msgspec.json.encode({"id": f"{name}-{n}", "cascade": name, "kind": "repost", "time": begin + n / 100}),
        )
        for n in range(plan.live_events)
        for name in (f"live{n * 7919 % (plan.live_events // 10)}",)
    )
    count = send_all(producer(server), f"{PREFIX}.events", list(events))
    first = count // 5
    worker.wait_until(lambda: worker.metric("cascadecast_events_received_total") >= first, "under way")
    seen, began = worker.metric("cascadecast_events_received_total"), time.monotonic()
    worker.wait_until(lambda: worker.metric("cascadecast_events_received_total") >= count, "done")
    return (count - seen) / (time.monotonic() - began)
