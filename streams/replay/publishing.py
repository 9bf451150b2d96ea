"""Publish an event file to the events topic: in event-time order, at a chosen speed, from where it was cut off."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from graph import EventFileError, Watermark
from graph.errors import UserError
from streams.kafka.control_records import WATERMARK_HEADER
from streams.kafka.topics import DEFAULT_PREFIX, partition_count
from streams.replay.delivery import LOT_RECORDS, OrderedDelivery
from streams.replay.position import Position, load_position, save_position
from streams.replay.records import Record, event_records, raw_records

DEFAULT_DRAIN_SECONDS: Final = 3600.0
"""How far past the last event the end-of-stream marker sets the watermark: all pending forecasts fall due."""

_SAVE_EVERY_SECONDS: Final = 1.0


class ReplayError(UserError):
    """The replay was asked for something that cannot be."""


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """What to publish, where and how. Raises `ReplayError` when its parts contradict each other."""

    source: str  # an event file, or - for standard input
    bootstrap_servers: str
    prefix: str = DEFAULT_PREFIX
    speed: float = math.inf  # event seconds a wall second; inf: as fast as Kafka takes them
    fold_seconds: float | None = None
    in_order: bool = False
    limit: int | None = None
    raw: bool = False
    drain_seconds: float = DEFAULT_DRAIN_SECONDS  # 0: no end-of-stream marker
    position: Path | None = None  # resume from and record in this file

    def __post_init__(self) -> None:
        if not self.speed > 0:
            raise ReplayError(f"speed {self.speed:g} must be above zero, or max")
        if not (math.isfinite(self.drain_seconds) and self.drain_seconds >= 0):
            raise ReplayError(f"drain {self.drain_seconds:g} must be a number of seconds, 0 for none")
        if self.raw and self.fold_seconds is not None:
            raise ReplayError("--raw sends lines as they stand: leave out --fold")
        if self.position is not None and self.source == "-":
            raise ReplayError("standard input cannot be resumed: give a file, or leave out --resume")

    @property
    def topic(self) -> str:
        """The topic published to."""
        return f"{self.prefix}.events"

    @property
    def paced(self) -> bool:
        """Whether event time passes at a set speed."""
        return math.isfinite(self.speed)


@dataclass(slots=True)
class ReplaySummary:
    """What one run did. ``skipped`` records had been acknowledged in earlier runs."""

    sent: int = 0
    acknowledged: int = 0
    refused: int = 0  # raw lines too large for the broker
    skipped: int = 0
    bytes: int = 0
    last_time: float | None = None
    watermark: float | None = None  # of the end-of-stream markers, one on each partition
    markers: int = 0
    interrupted: bool = False
    complete: bool = False
    seconds: float = 0.0


def replay(
    plan: ReplayPlan,
    *,
    stop: threading.Event | None = None,
    progress: Callable[[int, float], None] = lambda sent, event_time: None,
    reading: Callable[[int, int | None], None] | None = None,
) -> ReplaySummary:
    """Publish the file; returns when all is acknowledged, or soon after ``stop`` is set.

    ``progress`` is told the records sent and the event time reached, ``reading`` the file's bytes read and in
    all. Raises `EventFileError`, `KafkaUnreachableError`, `TopicsError` (no such topic), `PositionError`,
    `DeliveryError`.
    """
    began = time.monotonic()
    stop = stop or threading.Event()
    start = _start(plan)
    summary = ReplaySummary(skipped=start.acknowledged, complete=start.complete)
    partitions = partition_count(plan.bootstrap_servers, plan.topic)
    if start.complete:
        return summary
    delivery = OrderedDelivery(plan.bootstrap_servers, plan.topic, stop, tolerate_refused=plan.raw)
    records = _records(plan, stop, reading)
    clock = Watermark()
    try:
        for _ in _publish(plan, records, delivery, summary, clock, stop):
            progress(summary.sent, summary.last_time or math.nan)
            _record(plan, start, delivery, complete=False)
        delivery.settle()
        summary.interrupted = stop.is_set() and not summary.complete
        # With a position file a later run may go on, and the marker would make what it sends late.
        if summary.complete or not (summary.interrupted or plan.position):
            _mark_end(plan, delivery, summary, clock, partitions)
    except BaseException:
        delivery.abandon()
        summary.complete = False
        raise
    finally:
        summary.acknowledged, summary.refused = delivery.acknowledged, delivery.refused
        summary.seconds = time.monotonic() - began
        _record(plan, start, delivery, complete=summary.complete)
    return summary


def _publish(
    plan: ReplayPlan,
    records: Iterator[Record],
    delivery: OrderedDelivery,
    summary: ReplaySummary,
    clock: Watermark,
    stop: threading.Event,
) -> Iterator[None]:
    """Send record after record, yielding about once a second; sets ``summary.complete`` at the source's end."""
    limit = math.inf if plan.limit is None else plan.limit
    origin: tuple[float, float] | None = None  # wall and event time of the first record sent
    looked = time.monotonic()
    passed = 0
    for key, value, event_time in records:
        if passed < summary.skipped:
            passed += 1
            _note(summary, clock, key, event_time)
            continue
        if stop.is_set() or summary.sent >= limit:
            return
        if plan.paced and not math.isnan(event_time):  # a raw line without a time goes with its neighbours
            origin = origin or (time.monotonic(), event_time)
            due = origin[0] + (event_time - origin[1]) / plan.speed
            while (ahead := due - time.monotonic()) > 0 and not stop.is_set():
                delivery.serve(min(ahead, 0.1))
        if not delivery.send(key, value):
            return
        summary.sent += 1
        summary.bytes += len(value)
        _note(summary, clock, key, event_time)
        if plan.paced or summary.sent % LOT_RECORDS == 0:
            now = time.monotonic()
            if now - looked >= _SAVE_EVERY_SECONDS:
                looked = now
                delivery.close_lot()
                delivery.serve(0.0)
                yield
    summary.complete = not stop.is_set()


def _note(summary: ReplaySummary, clock: Watermark, key: bytes | None, event_time: float) -> None:
    """A record was sent, now or earlier; where its line tells no time (NaN) there is nothing to note."""
    if not math.isnan(event_time):
        clock.observe(event_time, key or b"")
        summary.last_time = event_time if summary.last_time is None else max(summary.last_time, event_time)


def _mark_end(
    plan: ReplayPlan, delivery: OrderedDelivery, summary: ReplaySummary, clock: Watermark, partitions: int
) -> None:
    """Tell every partition that no event before the end + drain will follow; one event far ahead is not the end."""
    end = clock.end_of_input()
    if plan.drain_seconds and math.isfinite(end):
        summary.watermark = end + plan.drain_seconds
        delivery.send_to_each_partition(partitions, (WATERMARK_HEADER, repr(summary.watermark).encode()))
        summary.markers = partitions


def _records(
    plan: ReplayPlan, stop: threading.Event, reading: Callable[[int, int | None], None] | None
) -> Iterator[Record]:
    if plan.raw:
        return raw_records(plan.source)
    return event_records(plan.source, stop, in_order=plan.in_order, fold_seconds=plan.fold_seconds, reading=reading)


def _start(plan: ReplayPlan) -> Position:
    """Where the plan's position file says to go on, else the beginning."""
    size = 0
    if plan.source != "-":
        try:
            size = Path(plan.source).stat().st_size
        except OSError as error:
            raise EventFileError(f"{plan.source}: cannot be read: {error.strerror}; check the path") from None
    fresh = Position(
        source=Path(plan.source).name,
        source_bytes=size,
        topic=plan.topic,
        fold_seconds=plan.fold_seconds,
        in_order=plan.in_order,
        raw=plan.raw,
    )
    return fresh if plan.position is None else load_position(plan.position, fresh)


def _record(plan: ReplayPlan, start: Position, delivery: OrderedDelivery, *, complete: bool) -> None:
    """Keep the position, if the plan names a file for it; a refused record counts as done."""
    if plan.position is not None:
        reached = start.acknowledged + delivery.acknowledged + delivery.refused
        save_position(plan.position, msgspec.structs.replace(start, acknowledged=reached, complete=complete))
