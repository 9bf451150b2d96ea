"""What is read beside a benchmark while it runs: the forecasts that come, and how far the worker's state has come."""

from __future__ import annotations

import bisect
import threading
import time
from typing import Any, Final

import msgspec

from streams.bench.installation import BenchWorker, forecasts_from_now_on

READING_SECONDS: Final = 0.25
"""A reading costs the worker some ten milliseconds."""

TICK_SECONDS: Final = 0.01


class _Said(msgspec.Struct):
    """Of a forecast, what is asked here."""

    cascade: str
    as_of: float
    model: str


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


class Forecasts(_Reader):
    """When forecasts of a model came: of each cascade (wall time, as_of)."""

    def __init__(self, server: str, partitions: int, model: str) -> None:
        super().__init__("bench-forecasts")
        self.out: dict[str, list[tuple[float, float]]] = {}
        self._model = model
        self._decode = msgspec.json.Decoder(_Said).decode
        self._consumer = forecasts_from_now_on(server, partitions, wait_ms=10)

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


class Offsets(_Reader):
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
