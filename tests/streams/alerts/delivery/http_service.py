"""A real HTTP server on this machine that answers as a test tells it to."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Taken:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class HttpService:
    """What came, and where to."""

    url: str = ""
    taken: list[Taken] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    """Of the next answers; 200 once there are none left."""
    headers: dict[str, str] = field(default_factory=dict)
    text: str = ""


@asynccontextmanager
async def http_service(tls: ssl.SSLContext | None = None, answer: Answer | None = None) -> AsyncIterator[HttpService]:
    service = HttpService()

    async def handle(request: web.Request) -> web.StreamResponse:
        service.taken.append(Taken(request.path, dict(request.headers), await request.read()))
        if answer is not None:
            return await answer(request)
        status = service.statuses.pop(0) if service.statuses else 200
        return web.Response(status=status, headers=service.headers, text=service.text)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    port = runner.addresses[0][1]
    service.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}/"
    try:
        yield service
    finally:
        await runner.cleanup()
