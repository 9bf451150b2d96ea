"""Whether each touched cascade is forecast in time: from the wall time at which an event was taken in to the moment at
which a consumer has a forecast that contains it.

Of each cascade and each second of wall time in which it was touched, the first event counts. When an event was taken in
follows from the worker's own offsets, read several times a second: it counts from the earlier of two readings on.
"""

from __future__ import annotations

import bisect
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np

from graph import Event, Kind
from streams.bench.installation import PREFIX, BenchWorker, forecasts_from_now_on, produce, producer
from streams.bench.rows import row
from streams.bench.throughput import Tell
from streams.kafka.partitioner import partition_of

WITHIN_SECONDS: Final = 2.0
READING_SECONDS: Final = 0.25
"""A reading costs the worker some ten milliseconds."""

TICK_SECONDS: Final = 0.01
LAST_SECONDS: Final = 5.0
"""Of the run: what is touched then may have no later event that moves event time on, and is left out."""

HORIZON_SECONDS: Final = 86_400.0

_encode = msgspec.json.Encoder().encode


class _Said(msgspec.Struct):
    """Of a forecast, what is asked here."""

    cascade: str
    as_of: float
    model: str


@dataclass(frozen=True, slots=True)
class PromisePlan:
    """``events`` in order of time, offered at ``rate`` a second; None: as fast as they are taken. ``model`` is the one
    whose forecasts count."""

    events: Sequence[Event]
    partitions: int = 8
    rate: float | None = None
    model: str = "blend"


def run(plan: PromisePlan, server: str, worker: BenchWorker, name: str, tell: Tell) -> list[dict[str, Any]]:
    """The rows of a worker that is ready, reading topics that are empty; their names begin with ``name``."""
    told = "full speed" if plan.rate is None else f"{plan.rate:,.0f} events/s"
    tell(f"{name}: forecasts in time at {told}")
    with _Forecasts(server, plan) as forecasts, _Offsets(worker, plan.partitions) as offsets:
        began = time.time()
        places = _offer(plan, server)
        worker.wait_until(lambda: offsets.records() >= len(plan.events), "done")
        seconds = time.time() - began
        time.sleep(LAST_SECONDS)
    waits = touched_to_forecast(plan.events, places, offsets.taken_in, forecasts.out, began + seconds - LAST_SECONDS)
    if not len(waits):
        return []
    made = worker.metric("cascadecast_forecasts_made_total")
    label = f"{name}, at {told}"
    p50, p99 = (float(np.quantile(waits, share, method="higher")) for share in (0.5, 0.99))
    return [
        row(f"{label}: events a second", len(plan.events) / seconds, "events/s"),
        row(f"{label}: forecasts a second", made / seconds, "forecasts/s"),
        row(f"{label}: touched cascades forecast within {WITHIN_SECONDS:g} s", float(np.mean(waits <= WITHIN_SECONDS)),
            "share of touched cascades and seconds"),
        *(
            row(f"{label}: touched to forecast, {what}", value, "s", "at most", WITHIN_SECONDS)
            for what, value in (("p50", p50), ("p99", p99))
            if np.isfinite(value)
        ),
    ]  # fmt: skip


def touched_to_forecast(
    events: Sequence[Event],
    places: Sequence[tuple[int, int]],
    taken_in: Callable[[int, int], float],
    forecasts: dict[str, list[tuple[float, float]]],
    until: float,
) -> Any:
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


def _offer(plan: PromisePlan, server: str) -> list[tuple[int, int]]:
    """Publish the events; partition and offset of each."""
    sender = producer(server, linger_ms=5)
    counts = [0] * plan.partitions
    places: list[tuple[int, int]] = []
    began = time.monotonic()
    for number, event in enumerate(plan.events):
        if plan.rate is not None:
            while number > (time.monotonic() - began) * plan.rate:
                sender.poll(TICK_SECONDS)
        partition = partition_of(event.cascade, plan.partitions)
        places.append((partition, counts[partition]))
        counts[partition] += 1
        produce(sender, f"{PREFIX}.events", _encode(event), event.cascade.encode(), partition=partition)
        sender.poll(0)
    sender.flush()
    return places


class _Reader:
    """Something that is read again and again in a thread of its own."""

    def __init__(self, name: str) -> None:
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def __enter__(self) -> Any:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._stopped.is_set():
            self._look()

    def _look(self) -> None:
        raise NotImplementedError


class _Forecasts(_Reader):
    """When forecasts came: of each cascade (wall time, as_of)."""

    def __init__(self, server: str, plan: PromisePlan) -> None:
        super().__init__("bench-forecasts")
        self.out: dict[str, list[tuple[float, float]]] = {}
        self._model = plan.model
        self._decode = msgspec.json.Decoder(_Said).decode
        self._consumer = forecasts_from_now_on(server, plan.partitions, wait_ms=10)

    def _look(self) -> None:
        for message in self._consumer.consume(1000, TICK_SECONDS):
            value = message.value()
            if value is None or message.error() is not None:
                continue
            said = self._decode(value)
            if said.model == self._model:
                self.out.setdefault(said.cascade, []).append((time.time(), said.as_of))

    def __exit__(self, *given: object) -> None:
        super().__exit__(*given)
        self._consumer.close()


class _Offsets(_Reader):
    """How far the state of each partition had come at each reading."""

    def __init__(self, worker: BenchWorker, partitions: int) -> None:
        super().__init__("bench-offsets")
        self._worker = worker
        self._walls: list[float] = []
        self._next: list[list[float]] = [[] for _ in range(partitions)]

    def _look(self) -> None:
        wall = time.time()
        found = self._worker.each("cascadecast_next_offset", "partition")
        if found:
            self._walls.append(wall)
            for number, offsets in enumerate(self._next):
                offsets.append(found.get(str(number), 0.0))
        self._stopped.wait(READING_SECONDS)

    def records(self) -> float:
        """How many records are part of the state."""
        return sum(offsets[-1] for offsets in self._next if offsets)

    def taken_in(self, partition: int, offset: int) -> float:
        """The last reading before a record was part of the state."""
        after = bisect.bisect_right(self._next[partition], offset)
        return self._walls[max(0, after - 1)]
