"""Copy the events topic of one installation to another with another number of partitions, every event under its key.

The number of partitions decides where a cascade's state lies, so it cannot be changed where it is: a second
installation is filled from the first, beside it, and takes over. Source partitions are merged by event time, so a
partition of the target gets its events in about the order of their times. The copy is resumable and at least once; a
repeat is a duplicate by its event's id.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from graph import Event, decode_event
from graph.errors import UserError
from streams.kafka.clients import kafka_client_config
from streams.kafka.control_records import WATERMARK_HEADER, read_control
from streams.kafka.topics import partition_count
from streams.replay.delivery import OrderedDelivery

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Message, TopicPartition

COMMIT_RECORDS: Final = 20_000
"""Between two notes of how far the copy is: each waits for the acknowledgement of all that was sent."""

BUFFER_RECORDS: Final = 5_000
"""Held of each source partition while the others are slower."""

LAG_SECONDS: Final = 1.0
"""How often a copy that follows notes how far it is."""


COORDINATOR_SECONDS: Final = 30.0


class RepartitionError(UserError):
    """The copy was asked for something that cannot be."""


@dataclass(slots=True)
class RepartitionSummary:
    """What one run did."""

    copied: int = 0
    rekeyed: int = 0  # of these came under another key, or none
    no_events: int = 0  # of these are no event; workers make dead letters of them
    watermark: float | None = None  # told to every partition of the target, once all of the source had told
    seconds: float = 0.0


@dataclass(slots=True)
class _Source:
    """One partition of the source: what was fetched and is not sent yet."""

    position: int  # the next offset to be sent
    end: int  # where it ended when last asked
    held: deque[tuple[float, Message]] = field(default_factory=deque)
    watermark: float = -math.inf


def repartition(
    bootstrap_servers: str,
    prefix: str,
    to_prefix: str,
    *,
    follow: bool = False,
    stop: threading.Event | None = None,
    progress: Callable[[int, int], None] = lambda copied, behind: None,
) -> RepartitionSummary:
    """Copy what the source holds; with ``follow`` go on until ``stop`` is set. ``progress`` gets what is left too.

    Goes on where an earlier run to the same target ended. Raises `TopicsError` when a topic is not there,
    `RepartitionError` when both are one, `DeliveryError`.
    """
    from confluent_kafka import Consumer

    if prefix == to_prefix:
        raise RepartitionError(f"the target must be another installation than {prefix}: give another --to-prefix")
    began = time.monotonic()
    topic, target = f"{prefix}.events", f"{to_prefix}.events"
    partitions, targets = partition_count(bootstrap_servers, topic), partition_count(bootstrap_servers, target)
    stop = stop or threading.Event()
    consumer = Consumer(
        {
            **kafka_client_config(bootstrap_servers),
            "group.id": f"{to_prefix}-repartition",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 50,
        }
    )
    delivery = OrderedDelivery(bootstrap_servers, target, stop, tolerate_refused=False)
    try:
        return _Copy(consumer, delivery, topic, partitions, targets).run(follow, stop, progress, began)
    finally:
        consumer.close()


class _Copy:
    """The merge of the source's partitions into the target."""

    def __init__(
        self, consumer: Consumer, delivery: OrderedDelivery, topic: str, partitions: int, targets: int
    ) -> None:
        self._consumer = consumer
        self._delivery = delivery
        self._topic = topic
        self._targets = targets
        self._summary = RepartitionSummary()
        self._sources = {number: _Source(*self._begin(number)) for number in range(partitions)}
        self._uncommitted = 0

    def run(
        self, follow: bool, stop: threading.Event, progress: Callable[[int, int], None], began: float
    ) -> RepartitionSummary:
        from confluent_kafka import TopicPartition

        self._consumer.assign([TopicPartition(self._topic, n, one.position) for n, one in self._sources.items()])
        looked = time.monotonic()
        while not stop.is_set():
            self._fetch()
            self._send_in_order()
            now = time.monotonic()
            if self._uncommitted >= COMMIT_RECORDS or now - looked >= LAG_SECONDS:
                looked = now
                self._commit()
                behind = self._look_for_more()
                progress(self._summary.copied, behind)
                if not behind and not follow:
                    break
        self._commit()
        self._summary.seconds = time.monotonic() - began
        return self._summary

    def _begin(self, number: int) -> tuple[int, int]:
        """Where to go on, and the end of a partition."""
        from confluent_kafka import TopicPartition

        (committed,) = self._committed([TopicPartition(self._topic, number)])
        first, end = self._consumer.get_watermark_offsets(TopicPartition(self._topic, number), timeout=30.0)
        return max(first, committed.offset), end

    def _committed(self, places: list[TopicPartition]) -> list[TopicPartition]:
        """What earlier runs noted; a group that is new has a coordinator only after a moment."""
        from confluent_kafka import KafkaException

        deadline = time.monotonic() + COORDINATOR_SECONDS
        while True:
            try:
                return list(self._consumer.committed(places, timeout=10.0))
            except KafkaException as error:
                if time.monotonic() > deadline:
                    said = error.args[0].str()
                    raise RepartitionError(f"Kafka does not tell how far an earlier copy was: {said}") from error
                time.sleep(0.2)

    def _look_for_more(self) -> int:
        """Ask where the partitions end now; how many records are left."""
        from confluent_kafka import TopicPartition

        for number, one in self._sources.items():
            _, one.end = self._consumer.get_watermark_offsets(TopicPartition(self._topic, number), timeout=30.0)
        return sum(max(0, one.end - one.position) for one in self._sources.values())

    def _fetch(self) -> None:
        from confluent_kafka import TopicPartition

        full = [n for n, one in self._sources.items() if len(one.held) >= BUFFER_RECORDS]
        paused = [TopicPartition(self._topic, number) for number in full]
        self._consumer.pause(paused)
        for message in self._consumer.consume(2000, timeout=0.05):
            if (error := message.error()) is not None:
                raise RepartitionError(f"cannot read {self._topic}: {error.str()}")
            self._sources[message.partition() or 0].held.append((self._place(message), message))
        self._consumer.resume(paused)

    def _place(self, message: Message) -> float:
        """When to send a record: its event time; a time ahead of the broker's clock, or none, says nothing."""
        broker_time = message.timestamp()[1] / 1000.0
        event = decode_event(message.value() or b"")
        return min(event.time, broker_time) if isinstance(event, Event) else -math.inf

    def _send_in_order(self) -> None:
        """Send as long as it is known whose turn it is: every partition shows a record, or is at its end."""
        while True:
            waiting = [(one.held[0][0], number) for number, one in self._sources.items() if one.held]
            if not waiting or any(not one.held and one.position < one.end for one in self._sources.values()):
                return
            one = self._sources[min(waiting)[1]]
            message = one.held.popleft()[1]
            if not self._send(one, message):
                return  # told to stop; it was not sent
            one.position = (message.offset() or 0) + 1
            self._uncommitted += 1

    def _send(self, source: _Source, message: Message) -> bool:
        value = message.value() or b""
        if not value:
            self._note_watermark(source, message)
            return True
        event = decode_event(value)
        key = message.key()
        if isinstance(event, Event):
            own = event.cascade.encode()
            self._summary.rekeyed += key != own
            key = own
        else:
            self._summary.no_events += 1
        if not self._delivery.send(key, value):
            return False
        self._summary.copied += 1
        return True

    def _note_watermark(self, source: _Source, message: Message) -> None:
        """A mark tells of one source partition; the target's hold events of all, so the earliest of all holds."""
        mark = read_control(message.headers()).watermark
        if mark is None:
            return
        source.watermark = max(source.watermark, mark)
        earliest = min(one.watermark for one in self._sources.values())
        if earliest > (self._summary.watermark or -math.inf):
            self._summary.watermark = earliest
            self._delivery.settle()
            self._delivery.send_to_each_partition(self._targets, (WATERMARK_HEADER, repr(earliest).encode()))

    def _commit(self) -> None:
        """Note how far the copy is, once all of it is acknowledged."""
        from confluent_kafka import TopicPartition

        self._delivery.settle()
        places = [TopicPartition(self._topic, n, one.position) for n, one in self._sources.items()]
        self._consumer.commit(offsets=places, asynchronous=False)
        self._uncommitted = 0
