"""Workers with live posts, served as a worker serves them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec
from aiohttp import web
from aiohttp.test_utils import TestServer

from graph import Event
from streams.engine.raw_record import Record
from streams.kafka.partitioner import partition_of
from streams.settings import Settings
from streams.web.access import Access
from streams.web.live import LiveAnswers
from streams.web.peers import Peers
from streams.web.reader import LiveReader
from streams.web.routes import add_routes
from streams.web.tokens import may_read
from tests.streams.worker_rig import Rig

PARTITIONS = 4


@dataclass
class Site:
    """A worker that goes on forecasting, and its pages."""

    rig: Rig
    server: TestServer

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server.port}{path}"

    async def take(self, events: Sequence[Event], watermark: float | None = None) -> None:
        """Bring events in and wait until all that is due is forecast."""
        batches: dict[int, list[Record]] = {}
        for event in events:
            number = partition_of(event.cascade, PARTITIONS)
            if number in self.rig.core.assigned:
                value, key = msgspec.json.encode(event), event.cascade.encode()
                batches.setdefault(number, []).append(Record(value, key, None, self.rig.next_offset(number), 0.0))
        for number in self.rig.core.assigned if watermark is not None else ():
            batches.setdefault(number, []).append(Record(b"", None, watermark, self.rig.next_offset(number), 0.0))
        await self.rig.core.ingest(batches, "social.events")
        while self.rig.core.is_forecasting():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def site(
    settings: Settings,
    owned: set[int] | None = None,
    urls: dict[int, str] | None = None,
    token: str | None = None,
) -> AsyncIterator[Site]:
    """A worker of the partitions ``owned`` (all), which finds the others at ``urls``."""
    rig = Rig(settings.of_partitions(PARTITIONS))
    await rig.core.own(set(range(PARTITIONS)) if owned is None else owned)
    forecasting = asyncio.create_task(rig.core.run_forecasts())
    known = urls if urls is not None else {}
    peers = Peers(lambda: known, lambda: set(rig.core.assigned), token)
    app = web.Application()
    answers = LiveAnswers(LiveReader(rig.core, PARTITIONS, settings.horizon_seconds), peers)
    add_routes(app, answers, Access(lambda given: may_read(given, token), "127.0.0.1"))
    server = TestServer(app)
    await server.start_server()
    try:
        yield Site(rig, server)
    finally:
        await server.close()
        await peers.close()
        await rig.core.drain()
        await forecasting
