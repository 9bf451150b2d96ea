"""Whether each touched cascade is forecast in time: from the wall time at which an event was taken in to the moment at
which a consumer has a forecast that contains it.

Of each cascade and each second of wall time in which it was touched, the first event counts. When an event was taken in
follows from the worker's own offsets, read several times a second: it counts from the earlier of two readings on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from graph import Event, Kind
from streams.bench.installation import PREFIX, BenchWorker, produce, producer
from streams.bench.readers import Forecasts, Offsets
from streams.bench.rows import row
from streams.bench.throughput import Tell
from streams.kafka.partitioner import partition_of

WITHIN_SECONDS: Final = 2.0
TICK_SECONDS: Final = 0.01
LAST_SECONDS: Final = 5.0
"""Of the run: what is touched then may have no later event that moves event time on, and is left out."""

LEAST_SECONDS: Final = 3 * LAST_SECONDS
"""Of a run that tells anything."""

AHEAD: Final = 100_000
"""Events that lie in Kafka before a worker takes them in at full speed: several of its largest batches."""

HORIZON_SECONDS: Final = 86_400.0

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class PromisePlan:
    """``events`` in order of time, offered at ``rate`` a second; None: as fast as they are taken. For so many
    ``seconds`` at most; None: until all are taken in. ``model`` is the one whose forecasts count."""

    events: Iterable[Event]
    partitions: int = 8
    rate: float | None = None
    model: str = "blend"
    seconds: float | None = None


def run(
    plan: PromisePlan,
    server: str,
    worker: BenchWorker,
    name: str,
    reference: str,
    reference_rate: float,
    tell: Tell,
) -> list[dict[str, Any]]:
    """The rows of a worker that is ready, reading topics that are empty, beside a ``reference`` that takes in so many
    events a second; their names begin with ``name``. Where the events are over too soon to tell, one row says so."""
    label = f"{name}, at {'full speed' if plan.rate is None else f'{plan.rate:,.0f} events/s'}"
    tell(f"{label}: forecasts in time")
    events = list(plan.events)
    with Forecasts(server, plan.partitions, plan.model) as forecasts, Offsets(worker, plan.partitions) as offsets:
        feed = _Feed(plan, server, time.time())
        for event in events:
            if not feed.offer(event, offsets.records):
                break
        feed.flush()
        worker.wait_until(lambda: feed.is_over() or offsets.records() >= len(feed.places), "done")
        seconds, taken = time.time() - feed.began, offsets.records()
        made = worker.metric("cascadecast_forecasts_made_total")
        time.sleep(LAST_SECONDS)
    until = feed.began + seconds - LAST_SECONDS
    waits = touched_to_forecast(events[: len(feed.places)], feed.places, offsets.taken_in, forecasts.out, until)
    return rows(label, Course(seconds, taken, made, waits), reference, reference_rate)


@dataclass(frozen=True, slots=True)
class Course:
    """What a run came to: its wall time, events taken in, forecasts made, and `touched_to_forecast`."""

    seconds: float
    taken: float
    made: float
    waits: NDArray[np.float64]


def rows(label: str, course: Course, reference: str, reference_rate: float) -> list[dict[str, Any]]:
    """Of one run; the share in time is told together with the rate at which it was reached."""
    if course.seconds < LEAST_SECONDS:
        told = f"{label}: too short to tell who is forecast in time, {course.taken:,.0f} events; give more events"
        return [row(told, course.seconds, "s", "at least", LEAST_SECONDS)]
    waits, rate = course.waits, course.taken / course.seconds
    touched = row(f"{label}: touched cascades", len(waits), "touched cascades and seconds")
    if not len(waits):
        return [touched]
    share = float(np.mean(waits <= WITHIN_SECONDS))
    p50, p99 = (float(np.quantile(waits, share, method="higher")) for share in (0.5, 0.99))
    return [
        row(f"{label}: events a second", rate, "events/s", reference, reference_rate),
        row(f"{label}: forecasts a second", course.made / course.seconds, "forecasts/s"),
        touched,
        row(f"{label}: of them forecast within {WITHIN_SECONDS:g} s, at {rate:,.0f} events/s", share, "share of them"),
        *(
            row(f"{label}: touched to forecast, {what}", value, "s", "at most", WITHIN_SECONDS)
            for what, value in (("p50", p50), ("p99", p99))
            if np.isfinite(value)
        ),
    ]


def touched_to_forecast(
    events: Sequence[Event],
    places: Sequence[tuple[int, int]],
    taken_in: Callable[[int, int], float],
    forecasts: dict[str, list[tuple[float, float]]],
    until: float,
) -> NDArray[np.float64]:
    """Seconds (n,) from the first event of each cascade and second to a forecast that contains it; inf where none came.

    ``places`` are partition and offset of each event, ``taken_in`` tells their wall time, ``forecasts`` have (wall
    time, as_of) of each cascade in the order in which they came. What no forecast is made of is left out: posts without
    a reaction, and those past the horizon, by the first event that there is of them; and what was touched after
    ``until``.
    """
    waits: list[float] = []
    seen: set[tuple[str, int]] = set()
    roots: dict[str, float] = {}
    for event, place in zip(events, places, strict=True):
        born = roots.setdefault(event.cascade, event.time)
        if event.kind is Kind.POST:
            continue
        at = taken_in(*place)
        key = event.cascade, int(at)
        if key in seen or at > until or event.time - born > HORIZON_SECONDS - 300.0 or event.kind is Kind.UNDO:
            continue
        seen.add(key)
        came = (wall for wall, as_of in forecasts.get(event.cascade, ()) if as_of >= event.time and wall >= at)
        waits.append(next(came, np.inf) - at)
    return np.array(waits)


class _Feed:
    """Publishes the events, and notes partition and offset of each."""

    def __init__(self, plan: PromisePlan, server: str, began: float) -> None:
        self.began = began
        self.places: list[tuple[int, int]] = []
        self._plan = plan
        self._sender = producer(server, linger_ms=5)
        self._counts = [0] * plan.partitions

    def is_over(self) -> bool:
        """Whether the time is."""
        return self._plan.seconds is not None and time.time() >= self.began + self._plan.seconds

    def offer(self, event: Event, taken_in: Callable[[], float]) -> bool:
        """Publish an event once it is its turn; False where the time is over before."""
        if self.is_over():
            return False
        number = len(self.places)
        while not self._may_come(number, taken_in):
            if self.is_over():
                return False
            self._sender.poll(TICK_SECONDS)
        partition = partition_of(event.cascade, self._plan.partitions)
        self.places.append((partition, self._counts[partition]))
        self._counts[partition] += 1
        produce(self._sender, f"{PREFIX}.events", _encode(event), event.cascade.encode(), partition=partition)
        self._sender.poll(0)
        return True

    def _may_come(self, number: int, taken_in: Callable[[], float]) -> bool:
        if self._plan.rate is not None:
            return number <= (time.time() - self.began) * self._plan.rate
        return number < AHEAD or number < taken_in() + AHEAD

    def flush(self) -> None:
        """Until all that was offered is in Kafka."""
        self._sender.flush()
