"""What metrics cost: their share of a worker's processor time at full speed, and their page with everything on it.

Times are of the processor, so that whatever else the machine does does not weigh on them.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, cast

import numpy as np

from graph import Event, Kind
from streams.alerts.rule_file import load_rules
from streams.bench.rows import row
from streams.bench.stream import START, endless, record
from streams.engine.blending import model_key
from streams.engine.inference import ForecastService, load_service
from streams.engine.raw_record import Record
from streams.kafka.partitioner import partition_of
from streams.metrics import WorkerMetrics
from streams.scoring.kept import Kept, Panel, Truth, Values
from streams.scoring.learned import Learned
from streams.settings import Settings
from streams.state.log import no_garbage_collection
from streams.state.store import MemorySegmentStore
from streams.worker.core import WorkerCore
from streams.worker.outputs import Message

SHARE_TARGET_PERCENT: Final = 2.0
AT_FULL_SPEED: Final = 4_000
AT_EASE: Final = 100
"""Events that are taken in together: the fewer, the more each of them bears of what is counted once a batch."""

SIZE_TARGET_BYTES: Final = 300_000
TIME_TARGET_SECONDS: Final = 0.05

MODELS: Final = ("blend", "concat", "casft", "autocas", "trees", "hawkes", "seismic")
"""All that are shipped."""

SCORED_CASCADES: Final = 400
"""Of each partition: enough for every model to be compared with every other at every age."""

SCRAPE_SECONDS: Final = 15.0
"""What deploy/prometheus asks for."""

DAY: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class MetricsPlan:
    """How much is measured."""

    cascades: int = 1_000_000
    events: int = 400_000
    partitions: int = 8
    pages: int = 200
    rules: Path | None = None


class _Nothing:
    """In the place of metrics: takes everything and counts nothing."""

    def __getattr__(self, name: str) -> _Nothing:
        return self

    def __call__(self, *args: object, **labels: object) -> _Nothing:
        return self


class _Nowhere:
    """In the place of Kafka: what is published is gone, and nothing waits."""

    async def publish(self, topic: str, messages: Sequence[Message]) -> None:
        """Gone."""

    async def earliest(self, partition: int) -> int:
        """The first of all."""
        return 0

    async def rewind(self, partition: int, offset: int) -> None:
        """Nothing was passed over."""

    async def first_from(self, partition: int, offset: int) -> int | None:
        """Not known."""
        return None

    async def end(self, partition: int) -> int | None:
        """Not known."""
        return None

    def last_known_end(self, partition: int) -> int | None:
        """Not known."""
        return None


def run(plan: MetricsPlan, tell: Callable[[str], None] = lambda what: None) -> list[dict[str, Any]]:
    """Measure, and return the rows of ``cascadecast bench metrics``; some minutes at full size."""
    rows = []
    for batch in (AT_FULL_SPEED, AT_EASE):
        tell(f"{plan.events:,} events, {batch:,} at a time")
        rows.append(asyncio.run(_share(plan, batch)))
    tell(f"the page, with {plan.cascades:,} live cascades")
    return rows + asyncio.run(_page(plan))


@asynccontextmanager
async def _worker(settings: Settings, metrics: WorkerMetrics, service: ForecastService) -> AsyncIterator[WorkerCore]:
    nowhere = _Nowhere()
    core = WorkerCore(settings, service, nowhere, nowhere, lambda number: MemorySegmentStore(), metrics)
    await core.own(set(range(settings.partitions)))
    try:
        yield core
    finally:
        await core.drain()


def _settings(partitions: int) -> Settings:
    engine: dict[str, Any] = {
        "partitions": partitions, "models": MODELS, "memory_limit_bytes": 1 << 40, "max_live_cascades": 10_000_000,
        "drain_timeout_seconds": 0.1,
    }  # fmt: skip
    return Settings(**engine)


def _batches(events: Iterator[Event], partitions: int, size: int) -> Iterator[Mapping[int, list[Record]]]:
    """Records as fetches bring them."""
    offsets = [0] * partitions
    while some := list(islice(events, size)):
        found: dict[int, list[Record]] = {}
        for event in some:
            key, value = record(event)
            number = partition_of(event.cascade, partitions)
            found.setdefault(number, []).append(Record(value, key, None, offsets[number], event.time))
            offsets[number] += 1
        yield found


async def _share(plan: MetricsPlan, batch: int) -> dict[str, Any]:
    """Two workers take in the same batches by turns, one with metrics: the median of what that adds to a batch."""
    settings = _settings(plan.partitions)
    service = ForecastService([], settings.horizon_seconds)
    spent: list[list[float]] = [[], []]
    async with (
        _worker(settings, WorkerMetrics(), service) as counting,
        _worker(settings, cast(WorkerMetrics, _Nothing()), service) as silent,
    ):
        workers = list(enumerate((counting, silent)))
        stream = islice(endless(events_per_hour=1e6), plan.events)
        for number, records in enumerate(_batches(stream, plan.partitions, batch)):
            for place, worker in workers if number % 2 else reversed(workers):
                with no_garbage_collection():  # it would come in the turn of one, for the garbage of both
                    began = time.process_time()
                    await worker.ingest(records, "events")
                    spent[place].append(time.process_time() - began)
    with_them, without = np.array(spent)
    return row(
        f"of the processor time of taking in events, {batch:,} at a time",
        100.0 * float(np.median(with_them - without) / np.median(with_them)), "%",
        *(("at most", SHARE_TARGET_PERCENT) if batch == AT_FULL_SPEED else ()),
    )  # fmt: skip


async def _page(plan: MetricsPlan) -> list[dict[str, Any]]:
    """Size and time of /metrics of a worker with so many cascades, all models, scores of all ages, and rules."""
    settings = _settings(plan.partitions)
    service = load_service(settings)
    metrics = WorkerMetrics()
    async with _worker(settings, metrics, service) as core:
        if plan.rules is not None:
            metrics.show_rules(load_rules(plan.rules))
        with no_garbage_collection():
            for records in _batches(_posts(plan.cascades), plan.partitions, settings.batch_max_events):
                await core.ingest(records, "events")
        bare = len(metrics.render())
        keys = tuple(model_key(model) for _, model in service.lineup.members())
        for number, one in core.assigned.items():
            one.partition.learner.restore(
                (), Learned().after(_truths(number, keys, settings.score_ages_seconds)), START
            )
            metrics.show_weights(number, service.lineup, one.partition.learner.learned)
            metrics.heartbeat.success.labels(str(number)).set(START)
        _show_forecasts(metrics, service)
        await core.tick()
        live = sum(len(one.partition.store) for one in core.assigned.values())
        seconds = []
        for _ in range(plan.pages):
            began = time.process_time()
            page = metrics.render()
            seconds.append(time.process_time() - began)
    series = sum(not line.startswith(b"#") for line in page.splitlines())
    median, slowest = np.quantile(seconds, [0.5, 0.99])
    return [
        row("live cascades", live, "cascades"),
        row("series on the page", series, "series"),
        row("size of the page", len(page), "bytes", "at most", SIZE_TARGET_BYTES),
        row("the same before any score", bare, "bytes"),
        row("making the page, median", float(median), "s", "at most", TIME_TARGET_SECONDS),
        row("making the page, 99th percentile", float(slowest), "s", "at most", TIME_TARGET_SECONDS),
        row(
            f"of a core, asked every {SCRAPE_SECONDS:g} s", 100.0 * float(median) / SCRAPE_SECONDS, "%",
            "at most", SHARE_TARGET_PERCENT,
        ),
    ]  # fmt: skip


def _posts(count: int) -> Iterator[Event]:
    for number in range(count):
        name = f"post{number:08d}"
        yield Event(name, name, Kind.POST, START + number * (DAY / 2 / count), f"u{number}", followers=10)


def _truths(seed: int, models: tuple[str, ...], ages: tuple[float, ...]) -> list[Truth]:
    """Scores of every model at every age, of so many cascades."""
    chance = random.Random(seed)
    panel = Panel(models, (True,) * len(models), ())
    found = []
    for number in range(SCORED_CASCADES):
        matures = START + 60.0 * number
        growth = 2.0 ** chance.gauss(5.0, 1.0)
        for age in ages:
            said = [Values(2.0 ** chance.gauss(5.0, 0.5), 4.0, 200.0, 4.0, 200.0) for _ in models]
            kept = Kept.of(f"c{number}", matures - DAY + age, matures, age, 3, panel, said)
            found.append(Truth(kept, 3 + int(growth)))
    return found


def _show_forecasts(metrics: WorkerMetrics, service: ForecastService) -> None:
    """What only a worker that forecasts would show: the series of each model."""
    for role, model in service.lineup.members():
        for family in (metrics.published, metrics.failed, metrics.supercritical):
            family.labels(model.name, role.value).inc()
        metrics.inference.labels(model.name, role.value).observe(0.1)
        metrics.scores.labels(model.name, model.version).inc()
