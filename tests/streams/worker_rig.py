"""A worker core over stores in memory, and doubles of what is around it."""

from __future__ import annotations

import asyncio
import json
import math
from collections import Counter
from collections.abc import Sequence

import msgspec
from prometheus_client import CollectorRegistry

from graph import Event
from streams.alerts.rules import RuleBook
from streams.engine.inference import ForecastService
from streams.engine.raw_record import Record
from streams.kafka.partitioner import partition_of
from streams.metrics import WorkerMetrics
from streams.settings import Settings
from streams.state.store import MemorySegmentStore
from streams.worker.core import WorkerCore
from streams.worker.outputs import Message, Output, SupersededError
from streams.worker.progress import Progress
from tests.streams.conftest import Doubling


class Outbox:
    """Keeps what is published; may be told to fail."""

    def __init__(self) -> None:
        self.sent: dict[str, list[Message]] = {}
        self.patience = math.inf  # so many publications are taken, then none

    async def publish(self, topic: str, messages: Sequence[Message]) -> None:
        await asyncio.sleep(0)
        self.patience -= 1
        if self.patience < 0:
            raise ConnectionError("broker gone")
        self.sent.setdefault(topic, []).extend(messages)

    def forecasts(self) -> list[dict[str, object]]:
        return [json.loads(value) for _, value, _ in self.sent.get("forecasts", [])]


class Tape:
    """A source that remembers what was asked of it."""

    def __init__(self) -> None:
        self.first = 0
        self.rewinds: list[tuple[int, int]] = []
        self.ends: dict[int, int] = {}
        self.offsets: Sequence[int] | None = None
        """Of the records that there are; None: whichever is asked for."""

    async def earliest(self, partition: int) -> int:
        return self.first

    async def rewind(self, partition: int, offset: int) -> None:
        self.rewinds.append((partition, offset))

    async def first_from(self, partition: int, offset: int) -> int | None:
        if self.offsets is None:
            return offset
        return next((there for there in self.offsets if there >= offset), None)

    async def end(self, partition: int) -> int | None:
        return self.ends.get(partition)

    def last_known_end(self, partition: int) -> int | None:
        return self.ends.get(partition)


class Rig:
    """A worker core over stores in memory."""

    def __init__(
        self, settings: Settings, service: ForecastService | None = None, outputs: Notes | None = None
    ) -> None:
        self.settings = settings
        self.outbox = Outbox()
        self.outputs = outputs
        self.tape = Tape()
        self.offsets: Counter[int] = Counter()
        self.stores: dict[int, MemorySegmentStore] = {}
        self.metrics = WorkerMetrics()
        self.service = service or ForecastService([Doubling()], settings.horizon_seconds)
        self.rules = RuleBook()
        self.core = WorkerCore(
            settings,
            self.service,
            self.outbox,
            self.tape,
            lambda number: self.stores.setdefault(number, MemorySegmentStore()),
            self.metrics,
            outputs,
            self.rules,
        )

    def next_offset(self, partition: int) -> int:
        self.offsets[partition] += 1
        return self.offsets[partition] - 1

    async def play(self, events: Sequence[Event], partitions: int, batch: int = 50, end: float | None = None) -> None:
        forecasting = asyncio.create_task(self.core.run_forecasts())
        for start in range(0, len(events), batch):
            if forecasting.done():
                break
            batches: dict[int, list[Record]] = {}
            for event in events[start : start + batch]:
                number = partition_of(event.cascade, partitions)
                value, key = msgspec.json.encode(event), event.cascade.encode()
                batches.setdefault(number, []).append(Record(value, key, None, self.next_offset(number), 0.0))
            await self.core.ingest(batches, "social.events")
        if not forecasting.done():
            end = max(event.time for event in events) + 3600 if end is None else end
            markers = {n: [Record(b"", None, end, self.next_offset(n), 0.0)] for n in range(partitions)}
            await self.core.ingest(markers, "social.events")
        await self.core.drain()
        await forecasting

    def value(self, name: str, **labels: str) -> float:
        return value(self.metrics.registry, name, **labels)

    def total(self, name: str) -> float:
        return sum(
            sample.value
            for family in self.metrics.registry.collect()
            for sample in family.samples
            if sample.name == name
        )


def value(registry: CollectorRegistry, name: str, **labels: str) -> float:
    found = registry.get_sample_value(name, labels)
    assert found is not None, f"no sample {name} {labels}"
    return found


def records_of(events: Sequence[Event], offset: int, broker_time: float) -> list[Record]:
    return [
        Record(msgspec.json.encode(event), event.cascade.encode(), None, offset + at, broker_time)
        for at, event in enumerate(events)
    ]


class Notebook:
    """Outputs in memory as transactions leave them, over any number of workers."""

    def __init__(self) -> None:
        self.progress: dict[int, Progress] = {}
        self.owner: dict[int, object] = {}
        self.out: list[Output] = []

    def outputs(self) -> Notes:
        return Notes(self)


class Notes:
    """One worker's outputs: either all of a publication and its note is there, or nothing of it."""

    def __init__(self, book: Notebook) -> None:
        self._book = book
        self.patience = math.inf

    async def take_over(self, partition: int) -> None:
        self._book.owner[partition] = self

    async def release(self, partition: int) -> None:
        pass

    async def publish(self, partition: int, outputs: Sequence[Output], forecasts_before: float) -> list[Output]:
        await asyncio.sleep(0)
        if self._book.owner[partition] is not self:
            raise SupersededError("fenced")
        self.patience -= 1
        if self.patience < 0:
            raise ConnectionError("broker gone")
        progress = self._book.progress.get(partition, Progress())
        wanted = [output for output in outputs if not progress.has(output.key)]
        self._book.out += wanted
        self._book.progress[partition] = progress.after([output.key for output in wanted], forecasts_before)
        return wanted
