"""The stream of the demo: simulated or from a file, published at the pace of event time by a thread of its own."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from graph.errors import UserError
from streams.kafka.control_records import WATERMARK_HEADER
from streams.kafka.security import KafkaSecurity
from streams.replay.delivery import OrderedDelivery
from streams.replay.records import Record, event_records

SIMULATED_HOURS: Final = 72.0
"""Over an hour at the default speed."""

SIMULATED_POSTS_PER_HOUR: Final = 120
"""Some seventy events a second at the default speed: a busy table, and two cores keep up with every forecast."""

DRAIN_SECONDS: Final = 3600.0
"""How far the end of a stream moves the clock on, so that the last forecasts fall due."""

LONGEST_SILENCE_SECONDS: Final = 3.0
"""Wall time: a longer silence of the stream (a night, the years between posts of an archive) is cut to this."""

_ACCOUNT_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True)
class Pace:
    """How event time passes: the first ``warmup_seconds`` of it at once, the rest ``speed`` times as fast as ours."""

    speed: float = 60.0  # event seconds per second; inf: as fast as Kafka takes them
    warmup_seconds: float = 6 * 3600.0


def simulated_records(seed: int) -> Callable[[threading.Event], Iterator[Record]]:
    """Three days of simulated posts; the same for the same seed."""

    def records(stop: threading.Event) -> Iterator[Record]:
        import msgspec

        from graph.ordering import ordered
        from graph.simulation import Simulation
        from graph.simulator import simulated_cascade

        simulation = Simulation(seed=seed, hours=SIMULATED_HOURS)
        events = (
            event
            for number in range(int(SIMULATED_POSTS_PER_HOUR * SIMULATED_HOURS))
            if not stop.is_set()
            for event in simulated_cascade(simulation, number)
        )
        encode = msgspec.json.Encoder().encode
        for event in ordered(events):
            yield event.cascade.encode(), encode(event), event.time

    return records


def file_records(source: str, fold_seconds: float | None) -> Callable[[threading.Event], Iterator[Record]]:
    """The events of a file by event time, folded over one period if asked for."""
    return lambda stop: event_records(source, stop, in_order=False, fold_seconds=fold_seconds)


class Feed:
    """Prepares the stream from `prepare` on, publishes it from `publish` on; ``error`` says why it broke off."""

    def __init__(self, records: Callable[[threading.Event], Iterator[Record]], pace: Pace) -> None:
        self._make_records = records
        self._pace = pace
        self._stop = threading.Event()
        self._go = threading.Event()
        self._target: tuple[str, str, int] | None = None
        self._security: KafkaSecurity | None = None
        self._thread = threading.Thread(target=self._run, name="demo-feed", daemon=True)
        self.sent = 0
        self.acknowledged = 0
        self.event_time = math.nan
        self.prepared = threading.Event()  # the first record is there
        self.ended = False
        self.error: Exception | None = None

    def prepare(self) -> None:
        """Begin to read or simulate: ordering a large file takes as long as Kafka takes to start."""
        self._thread.start()

    def publish(
        self, bootstrap_servers: str, topic: str, partitions: int, security: KafkaSecurity | None = None
    ) -> None:
        """Begin to publish; ``security`` None: as configured."""
        self._target = (bootstrap_servers, topic, partitions)
        self._security = security
        self._go.set()

    def stop(self, patience_seconds: float = 5.0) -> None:
        """Publish no more; wait until what was sent is acknowledged, but not for ever."""
        self._stop.set()
        self._go.set()
        if self._thread.is_alive():
            self._thread.join(patience_seconds)

    def _run(self) -> None:
        try:
            records = self._make_records(self._stop)
            first = next(records, None)
            if first is None and not self._stop.is_set():
                raise UserError("the stream holds no event: name a file with events, or leave --events out")
            self.prepared.set()
            self._go.wait()
            if self._target is not None and first is not None and not self._stop.is_set():
                self._publish(first, records, *self._target)
            self.ended = not self._stop.is_set()
        except Exception as error:
            self.error = error
        finally:
            self.prepared.set()

    def _publish(self, first: Record, rest: Iterator[Record], servers: str, topic: str, partitions: int) -> None:
        delivery = OrderedDelivery(servers, topic, self._stop, tolerate_refused=False, security=self._security)
        try:
            self._send_all(first, rest, delivery)
            delivery.settle()
            if not self._stop.is_set():
                watermark = repr(self.event_time + DRAIN_SECONDS).encode()
                delivery.send_to_each_partition(partitions, (WATERMARK_HEADER, watermark))
        except BaseException:
            delivery.abandon()
            raise
        finally:
            self.acknowledged = delivery.acknowledged

    def _send_all(self, first: Record, rest: Iterator[Record], delivery: OrderedDelivery) -> None:
        live_from = first[2] + self._pace.warmup_seconds
        origin: tuple[float, float] | None = None  # wall and event time at which event time began to pass
        accounted = time.monotonic()
        record: Record | None = first
        while record is not None:
            key, value, event_time = record
            if event_time >= live_from and math.isfinite(self._pace.speed):
                now = time.monotonic()
                origin = origin or (now, event_time)
                due = origin[0] + (event_time - origin[1]) / self._pace.speed
                if due - now > LONGEST_SILENCE_SECONDS:
                    due = now + LONGEST_SILENCE_SECONDS
                    origin = (due, event_time)
                while (ahead := due - time.monotonic()) > 0 and not self._stop.is_set():
                    delivery.serve(min(ahead, 0.1))
            if self._stop.is_set() or not delivery.send(key, value):
                return
            self.sent += 1
            self.event_time = event_time
            if self.sent % 64 == 0 or origin is not None:
                now = time.monotonic()
                if now - accounted >= _ACCOUNT_SECONDS:
                    accounted = now
                    delivery.close_lot()
                    delivery.serve(0.0)
                    self.acknowledged = delivery.acknowledged
            record = next(rest, None)
