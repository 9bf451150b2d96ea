"""The routes of the live page and its API, on the worker's HTTP server."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from functools import cache
from importlib import resources
from typing import Final

import msgspec
from aiohttp import web

from graph.events import MAX_ID_BYTES
from streams.web.access import Access
from streams.web.answers import Problem
from streams.web.live import ElsewhereError, LiveAnswers
from streams.web.openapi import document
from streams.web.reader import Sort
from streams.web.ticks import Ticks

MAX_TOP: Final = 200

MAX_WATCHERS: Final = 100
"""Open streams of updates; each costs a list a second."""

MAX_RATE: Final = 60.0
"""Updates a second: a screen shows no more."""

SILENCE_SECONDS: Final = 15.0
"""Without news a comment is sent so often: proxies close what is silent, and a browser that is gone is noticed."""

_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

_ASSETS: Final = {
    "": ("index.html", "text/html"),
    "assets/app.css": ("app.css", "text/css"),
    "assets/app.js": ("app.js", "text/javascript"),
    "assets/charts.js": ("charts.js", "text/javascript"),
    "assets/icon.svg": ("icon.svg", "image/svg+xml"),
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class BadQueryError(Exception):
    """A parameter has a value that cannot be meant."""


def add_routes(app: web.Application, answers: LiveAnswers, access: Access) -> None:
    """Add the page at ``/``, the API below ``/api/v1`` and its document to an aiohttp application."""
    watchers = Watchers(answers)
    for path, (name, kind) in _ASSETS.items():
        app.router.add_get(f"/{path}", access.from_this_machine_only(_asset(name, kind)))
    app.router.add_get("/api/v1/openapi.json", access.from_this_machine_only(_openapi))
    for path, handler in (
        ("/api/v1/cascades", _top(answers)),
        ("/api/v1/cascades/{id}", _cascade(answers)),
        ("/api/v1/models", _models(answers)),
        ("/api/v1/stream", watchers.stream),
    ):
        app.router.add_get(path, access.readers_only(_with_problems(handler)))
    app.on_shutdown.append(watchers.end)


@cache
def _read(name: str) -> str:
    return resources.files("streams.web").joinpath("assets", name).read_text(encoding="utf-8")


def _asset(name: str, kind: str) -> Handler:
    async def serve(request: web.Request) -> web.Response:
        return web.Response(text=_read(name), content_type=kind, charset="utf-8", headers=_HEADERS)

    return serve


async def _openapi(request: web.Request) -> web.Response:
    return web.Response(text=json.dumps(document()), content_type="application/json", headers=_HEADERS)


def answer(value: msgspec.Struct, status: int = 200) -> web.Response:
    """An answer of the API."""
    return web.Response(
        body=msgspec.json.encode(value), status=status, content_type="application/json", headers=_HEADERS
    )


def _with_problems(handler: Handler) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except BadQueryError as error:
            return answer(Problem(error=str(error)), 400)
        except ElsewhereError:
            return answer(Problem(error="the worker that has this post does not answer; try again in a moment"), 503)

    return handle


def _top(answers: LiveAnswers) -> Handler:
    async def top(request: web.Request) -> web.Response:
        sort, limit, source = _list_wanted(request)
        return answer(await answers.top(sort, limit, source, local=_is_local(request)))

    return top


def _cascade(answers: LiveAnswers) -> Handler:
    async def cascade(request: web.Request) -> web.Response:
        wanted = request.match_info["id"]
        if len(wanted.encode("utf-8", "surrogatepass")) > MAX_ID_BYTES:
            return answer(Problem(error=f"no id has more than {MAX_ID_BYTES} bytes"), 404)
        found = await answers.cascade(wanted, local=_is_local(request))
        if found is None:
            return answer(Problem(error="no live post has this id: it was never seen, or has left memory"), 404)
        return answer(found)

    return cascade


def _models(answers: LiveAnswers) -> Handler:
    async def models(request: web.Request) -> web.Response:
        return answer(answers.reader.models())

    return models


def _is_local(request: web.Request) -> bool:
    local = request.query.get("local", "0")
    if local not in ("0", "1"):
        raise BadQueryError("local is 0 or 1")
    return local == "1"


def _list_wanted(request: web.Request) -> tuple[Sort, int, str | None]:
    try:
        sort = Sort(request.query.get("sort", Sort.RISING.value))
    except ValueError:
        raise BadQueryError(f"sort is one of {', '.join(sort.value for sort in Sort)}") from None
    top = request.query.get("top", "20")
    if not (top.isascii() and top.isdecimal() and len(top) <= 4 and 1 <= int(top) <= MAX_TOP):
        raise BadQueryError(f"top is a whole number from 1 to {MAX_TOP}")
    return sort, int(top), request.query.get("source")


def _rate(request: web.Request) -> float:
    try:
        rate = float(request.query.get("rate", "1"))
    except ValueError:
        rate = 0.0
    if not 0.01 <= rate <= MAX_RATE:
        raise BadQueryError(f"rate is a number of updates a second, up to {MAX_RATE:g}")
    return rate


class Watchers:
    """The open streams of updates (server-sent events)."""

    def __init__(self, answers: LiveAnswers) -> None:
        self._answers = answers
        self._open: set[asyncio.Task[None]] = set()

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Send the top list whenever it has changed, at most ``rate`` times a second."""
        sort, limit, source = _list_wanted(request)
        pause = 1.0 / _rate(request)
        if len(self._open) >= MAX_WATCHERS:
            return answer(Problem(error=f"{MAX_WATCHERS} watch already; ask for /api/v1/cascades instead"), 503)
        response = web.StreamResponse(headers={**_HEADERS, "Content-Type": "text/event-stream"})
        await response.prepare(request)
        task = asyncio.create_task(self._send(response, sort, limit, source, pause))
        self._open.add(task)
        try:
            await asyncio.wait([task])
        finally:
            task.cancel()
            self._open.discard(task)
        return response

    async def _send(
        self, response: web.StreamResponse, sort: Sort, limit: int, source: str | None, pause: float
    ) -> None:
        last, sent_at = b"", time.monotonic()
        ticks = Ticks(pause, sent_at)
        try:
            while True:
                top = msgspec.json.encode(await self._answers.top(sort, limit, source))
                if top != last:
                    await response.write(b"event: top\ndata: " + top + b"\n\n")
                    last, sent_at = top, time.monotonic()
                elif time.monotonic() - sent_at > SILENCE_SECONDS:
                    await response.write(b": nothing new\n\n")
                    sent_at = time.monotonic()
                await asyncio.sleep(ticks.wait(time.monotonic()))
        except ConnectionError:
            return  # the browser is gone

    async def end(self, app: web.Application) -> None:
        """The worker stops: it must not wait for those who watch."""
        for task in self._open:
            task.cancel()
