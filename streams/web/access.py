"""Who may read the pages: whoever has the token, where there is one; of a loopback server, only this machine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from streams.settings import is_loopback
from streams.web.tokens import DENIED, DENIED_HEADERS

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Access:
    """The rules of one server."""

    def __init__(self, may_read: Callable[[str | None], bool], http_host: str) -> None:
        """``may_read`` judges an Authorization header."""
        self._may_read = may_read
        self._is_loopback = is_loopback(http_host)

    def from_this_machine_only(self, handler: Handler) -> Handler:
        """Refuse requests to a loopback server under another name: a web site whose name was made to point to this
        machine (DNS rebinding) could otherwise read the pages through a browser that runs on it."""

        async def handle(request: web.Request) -> web.StreamResponse:
            if self._is_loopback and not is_loopback(_host_of(request)):
                return web.Response(text="403: this server is known as localhost only\n", status=403)
            return await handler(request)

        return handle

    def readers_only(self, handler: Handler) -> Handler:
        """The same, and the token where there is one."""

        async def handle(request: web.Request) -> web.StreamResponse:
            if not self._may_read(request.headers.get("Authorization")):
                return web.Response(status=401, text=DENIED, headers=DENIED_HEADERS)
            return await handler(request)

        return self.from_this_machine_only(handle)


def _host_of(request: web.Request) -> str:
    host = request.host
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
