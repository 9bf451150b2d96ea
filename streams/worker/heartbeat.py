"""Heartbeats: records that a worker sends through its own partitions, to know that the whole way is open.

A heartbeat goes the way of an event: to the events topic, from there with the others into a batch, and into the
durable state with it. It comes to nothing there: no clock moves, no cascade knows of it. Once all outputs that were due
when it was taken in are acknowledged, it has arrived. Of each partition one is on its way at a time; one of another
worker, or of an earlier start of this one, is passed over.
"""

from __future__ import annotations

import asyncio
import enum
import math
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final

import structlog
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError
from faust.exceptions import ProducerSendError
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

log = structlog.get_logger("cascadecast.heartbeat")

GIVEN_UP_SECONDS: Final = 600.0
"""A heartbeat that has not arrived by then counts as lost, and the next one is sent. Longer than a backlog of forecasts
takes that a worker with defaults works off."""

BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class Stage(enum.StrEnum):
    """How far a heartbeat has come."""

    ACKNOWLEDGED = "acknowledged"  # by the brokers, as a record of the events topic
    DURABLE = "durable"  # part of the state, with the batch it came in
    OUT = "out"  # so is all that was due by then


class Lost(enum.StrEnum):
    """Why a heartbeat did not arrive."""

    REFUSED = "refused"  # the worker may not write to the events topic
    UNSENT = "unsent"  # Kafka did not take it
    UNANSWERED = "unanswered"  # not seen again within GIVEN_UP_SECONDS


class HeartbeatMetrics:
    """What is told of heartbeats."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.seconds = Histogram(
            "cascadecast_heartbeat_seconds",
            "Wall time from the sending of a heartbeat until it had come so far: acknowledged by Kafka as an event is, "
            "durable in the state, and out with all outputs that were due by then.",
            ["stage"],
            buckets=BUCKETS,
            registry=registry,
        )
        self.success = Gauge(
            "cascadecast_heartbeat_last_success_timestamp_seconds",
            "When the last heartbeat of a partition had gone the whole way; before the first, when the partition was "
            "taken over. None where heartbeats are off.",
            ["partition"],
            registry=registry,
        )
        self.lost = Counter(
            "cascadecast_heartbeats_lost",
            "Heartbeats that did not arrive, by reason: refused (no right to write to the events topic: none are sent "
            "from then on), unsent, unanswered.",
            ["reason"],
            registry=registry,
        )
        for stage in Stage:
            self.seconds.labels(stage.value)
        for reason in Lost:
            self.lost.labels(reason.value)


@dataclass(slots=True)
class OnItsWay:
    """A heartbeat that was sent."""

    token: bytes
    sent_at: float  # monotonic, seconds
    due_before: float = math.nan  # watermark of the durable state that includes it; NaN before


class Heartbeats:
    """Of the partitions of one worker."""

    def __init__(
        self,
        send: Callable[[int, bytes], Awaitable[None]],
        metrics: HeartbeatMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``send`` puts a heartbeat with a token into a partition and returns once Kafka has acknowledged it."""
        self._send = send
        self._metrics = metrics
        self._clock = clock
        self._own = secrets.token_hex(8)
        self._number = 0
        self._on_their_way: dict[int, OnItsWay] = {}
        self._sending: set[asyncio.Task[None]] = set()
        self.are_on = True

    def begin(self, partition: int) -> None:
        """The partition is ours from now on."""
        self._on_their_way.pop(partition, None)
        if self.are_on:
            self._metrics.success.labels(str(partition)).set(time.time())

    def end(self, partition: int) -> None:
        """It is ours no more."""
        self._on_their_way.pop(partition, None)
        self._metrics.success.remove(str(partition))

    def beat(self, partitions: Iterable[int]) -> None:
        """Send one to each partition from which none is on its way. Never waits, never raises."""
        for partition in partitions if self.are_on else ():
            before = self._on_their_way.get(partition)
            if before is not None:
                if self._clock() - before.sent_at < GIVEN_UP_SECONDS:
                    continue
                self._lose(Lost.UNANSWERED)
            self._number += 1
            sent = OnItsWay(f"{self._own} {self._number}".encode(), self._clock())
            self._on_their_way[partition] = sent
            task = asyncio.create_task(self._send_one(partition, sent))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _send_one(self, partition: int, sent: OnItsWay) -> None:
        try:
            await self._send(partition, sent.token)
        except (KafkaError, ProducerSendError) as error:
            if self._on_their_way.get(partition) is sent:
                del self._on_their_way[partition]
            if TopicAuthorizationFailedError in (type(error), type(error.__cause__)):
                self._refused()
            else:
                self._lose(Lost.UNSENT)
                log.warning("a heartbeat was not taken by Kafka", partition=partition, error=repr(error))
        else:
            self._observe(Stage.ACKNOWLEDGED, sent)

    def _refused(self) -> None:
        self._lose(Lost.REFUSED)
        if self.are_on:
            self.are_on = False
            self._metrics.success.clear()
            log.warning(
                "heartbeats are off: this worker may not write to the events topic; grant it that, "
                "or set heartbeat_seconds to 0"
            )

    def durable(self, partition: int, tokens: Iterable[bytes], watermark: float) -> None:
        """These came in a batch that is part of the durable state; the partition's clock stands at ``watermark``."""
        sent = self._on_their_way.get(partition)
        if sent is not None and sent.token in tokens:
            sent.due_before = watermark
            self._observe(Stage.DURABLE, sent)

    def at_the_end(self, partition: int, out_before: Callable[[], float]) -> OnItsWay | None:
        """The one, if any, that has gone the whole way if all outputs before ``out_before`` are out. That is asked only
        where one is part of the state: hardly ever, and this is called after every round."""
        sent = self._on_their_way.get(partition)
        if sent is None or math.isnan(sent.due_before):
            return None
        return sent if out_before() >= sent.due_before else None

    def arrived(self, partition: int, sent: OnItsWay) -> None:
        """It has, unless it was told already, or the partition was let go meanwhile."""
        if self._on_their_way.get(partition) is sent:
            del self._on_their_way[partition]
            self._observe(Stage.OUT, sent)
            self._metrics.success.labels(str(partition)).set(time.time())

    def _observe(self, stage: Stage, sent: OnItsWay) -> None:
        self._metrics.seconds.labels(stage.value).observe(self._clock() - sent.sent_at)

    def _lose(self, reason: Lost) -> None:
        self._metrics.lost.labels(reason.value).inc()
