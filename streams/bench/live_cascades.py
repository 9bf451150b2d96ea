"""What an event costs with many cascades live: decoded, applied, written as segments; no Kafka, no forecast."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Final

import msgspec

from streams.bench.rows import row
from streams.bench.stream import START
from streams.engine.partition import Partition
from streams.engine.raw_record import Record
from streams.settings import Settings
from streams.state.log import SegmentLog
from streams.state.store import MemorySegmentStore
from streams.worker.huge_pages import collapse

FEW: Final = 10_000
RESHARES: Final = 200_000
SPAN_SECONDS: Final = 20_000.0
GROWTH_TARGET: Final = 1.3

_encode = msgspec.json.Encoder().encode


def run(cascades: int, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """Reshares of so many live cascades beside those of `FEW`."""
    few, many = (asyncio.run(_microseconds_an_event(count, tell)) for count in (min(FEW, cascades), cascades))
    return [
        row(f"an event, {cascades:,} cascades live", many, "us", f"{min(FEW, cascades):,}", few),
        row("growth of its time", many / few, "", "at most", GROWTH_TARGET),
    ]


async def _microseconds_an_event(cascades: int, tell: Callable[[str], None]) -> float:
    """Of processor time, for a reshare of any of them."""
    tell(f"an event, {cascades:,} cascades live")
    engine: dict[str, Any] = {"partitions": 1, "memory_limit_bytes": 1 << 40, "max_live_cascades": 2 * cascades}
    settings = Settings(**engine)
    partition, log = Partition(0, settings), SegmentLog(MemorySegmentStore())
    await log.recover(partition)
    await _take_in(partition, log, _posts(cascades), settings.batch_max_events)
    collapse()  # as a worker does every minute
    seconds = await _take_in(partition, log, _reshares(cascades), settings.batch_max_events)
    return 1e6 * seconds / RESHARES


def _posts(cascades: int) -> Iterator[dict[str, Any]]:
    for number in range(cascades):
        time_ = START + number * SPAN_SECONDS / cascades
        name = f"c{number}"
        yield {"id": name, "cascade": name, "kind": "post", "time": time_, "user": f"u{number}", "followers": 10}


def _reshares(cascades: int) -> Iterator[dict[str, Any]]:
    chance = random.Random(0)
    for number in range(RESHARES):
        cascade, time_ = f"c{chance.randrange(cascades)}", START + SPAN_SECONDS + number / 100
        yield {"id": f"r{number}", "cascade": cascade, "kind": "repost", "time": time_, "user": f"u{number}"}


async def _take_in(partition: Partition, log: SegmentLog, events: Iterable[dict[str, Any]], batch: int) -> float:
    """As a worker whose forecasts are always out; seconds of processor time, the making of the records aside."""
    seconds = 0.0
    source = iter(events)
    while found := list(islice(source, batch)):
        first = max(0, log.next_offset)
        records = [
            Record(_encode(event), event["cascade"].encode(), None, offset, event["time"])
            for offset, event in enumerate(found, first)
        ]
        began = time.process_time()
        changes = partition.apply_records(records, check_keys=True)
        await log.append(partition, changes, first + len(records))
        partition.schedule.due(partition.watermark.value)
        seconds += time.process_time() - began
    return seconds
