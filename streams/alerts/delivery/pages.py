"""The HTTP pages of a delivering process: metrics, liveness, readiness."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from graph.errors import UserError
from streams.alerts.delivery.metrics import DeliveryMetrics
from streams.web.tokens import DENIED, DENIED_HEADERS, may_read


@asynccontextmanager
async def serving(
    host: str, port: int, token: str | None, metrics: DeliveryMetrics, readiness: Callable[[], dict[str, Any]]
) -> AsyncIterator[None]:
    """Serve ``/metrics``, ``/healthz`` and ``/readyz`` meanwhile. With a ``token`` metrics need it; the probes do not.

    ``readiness`` says for each target whether it is read. Raises UserError when the port cannot be had.
    """

    def may(request: web.Request) -> bool:
        return may_read(request.headers.get("Authorization"), token)

    async def show_metrics(request: web.Request) -> web.Response:
        if not may(request):
            return web.Response(status=401, text=DENIED, headers=DENIED_HEADERS)
        return web.Response(body=metrics.render(), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    async def show_health(request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})  # a loop that is stuck does not answer

    async def show_readiness(request: web.Request) -> web.Response:
        found = readiness()
        ready = all(one["ready"] for one in found.values())
        told: dict[str, Any] = {"ready": ready}
        if may(request):
            told["targets"] = found
        return web.json_response(told, status=200 if ready else 503)

    app = web.Application()
    app.router.add_get("/metrics", show_metrics)
    app.router.add_get("/healthz", show_health)
    app.router.add_get("/readyz", show_readiness)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            reason = f"cannot be listened on ({error.strerror})"
            raise UserError(f"{host}:{port} {reason}: give another --http-port") from None
        yield
    finally:
        await runner.cleanup()
