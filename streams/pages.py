"""The worker's HTTP pages: metrics for Prometheus, liveness and readiness for whoever supervises it."""

from __future__ import annotations

import faust
from faust.web import Request, Response, View
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from streams.readiness import ChangelogReading, look, show
from streams.watchdog_thread import Watchdog
from streams.worker import WorkerCore


def add_pages(app: faust.App, core: WorkerCore, changelogs: ChangelogReading, watchdog: Watchdog) -> None:
    """Serve ``/metrics``, ``/healthz`` and ``/readyz``."""

    @app.page("/metrics")
    async def metrics(view: View, request: Request) -> Response:
        del request
        show(look(core, changelogs), core.metrics)
        return view.bytes(core.metrics.render(), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    @app.page("/healthz")
    async def healthz(view: View, request: Request) -> Response:
        del request
        page = watchdog.page()
        return view.json(page, status=200 if page["status"] == "ok" else 503)

    @app.page("/readyz")
    async def readyz(view: View, request: Request) -> Response:
        del request
        readiness = look(core, changelogs)
        return view.json({**readiness.page(), "models": core.models()}, status=200 if readiness.ready else 503)
