"""The worker's HTTP pages: metrics for Prometheus, liveness and readiness for whoever supervises it."""

from __future__ import annotations

import faust
from faust.web import Request, Response, View
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from streams.supervision.watchdog_thread import Watchdog
from streams.web.tokens import DENIED, DENIED_HEADERS, may_read
from streams.worker.core import WorkerCore
from streams.worker.readiness import ChangelogReading, look, show


def add_pages(
    app: faust.App, core: WorkerCore, changelogs: ChangelogReading, watchdog: Watchdog, token: str | None
) -> None:
    """Serve ``/metrics``, ``/healthz`` and ``/readyz``.

    With a ``token`` metrics need it. The probes do not, since what probes cannot keep a secret; without it they tell
    only whether all is well.
    """

    @app.page("/metrics")
    async def metrics(view: View, request: Request) -> Response:
        if not may_read(request.headers.get("Authorization"), token):
            return view.text(DENIED, status=401, headers=dict(DENIED_HEADERS))
        show(look(core, changelogs), core.metrics)
        return view.bytes(core.metrics.render(), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    @app.page("/healthz")
    async def healthz(view: View, request: Request) -> Response:
        page = watchdog.page()
        told = page if may_read(request.headers.get("Authorization"), token) else {"status": page["status"]}
        return view.json(told, status=200 if page["status"] == "ok" else 503)

    @app.page("/readyz")
    async def readyz(view: View, request: Request) -> Response:
        readiness = look(core, changelogs)
        told: dict[str, object] = {"ready": readiness.ready}
        if may_read(request.headers.get("Authorization"), token):
            told = {**readiness.page(), "models": core.models()}
        return view.json(told, status=200 if readiness.ready else 503)
