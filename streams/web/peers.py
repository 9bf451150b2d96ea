"""The other workers of the installation, asked over HTTP for what lies with them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote

import aiohttp
import structlog

from streams.settings import Settings

log = structlog.get_logger("cascadecast.web")

ANSWER_SECONDS: Final = 2.0
"""Longer than any page should take; a worker that recovers or is gone must not hold up the others' answers."""

MAX_ANSWER_BYTES: Final = 4 * 1024 * 1024


def advertised_url(settings: Settings) -> str:
    """Where other workers find this one's pages."""
    host = settings.http_advertised_host
    if host is None:
        host = socket.gethostname() if settings.http_host in ("0.0.0.0", "::", "") else settings.http_host
    return f"http://[{host}]:{settings.http_port}" if ":" in host else f"http://{host}:{settings.http_port}"


class Peers:
    """Where each partition lies, and how to ask there. Requests to peers carry ``local=1``: they ask nobody else."""

    def __init__(self, urls: Callable[[], Mapping[int, str]], own: Callable[[], set[int]], token: str | None) -> None:
        """``urls``: base URL of the worker of each partition, as far as known; ``own``: partitions of this worker."""
        self._urls = urls
        self._own = own
        self._headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        self._session: aiohttp.ClientSession | None = None

    def others(self) -> list[str]:
        """Base URLs of the other workers."""
        own = self._own()
        return sorted({url for number, url in self._urls().items() if number not in own})

    async def get(self, url: str, path: str, query: Mapping[str, str]) -> tuple[int, bytes] | None:
        """Status and body of a worker's answer; None if it gives none in time."""
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS))
        try:
            async with self._session.get(
                url + path, params={**query, "local": "1"}, headers=self._headers, allow_redirects=False
            ) as answer:
                body = await answer.content.read(MAX_ANSWER_BYTES)
                return answer.status, body
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            log.warning("another worker does not answer", url=url, error=repr(error))
            return None

    async def get_all(self, path: str, query: Mapping[str, str]) -> list[bytes | None]:
        """The bodies of all other workers' answers; None for each that gave none."""
        answers = await asyncio.gather(*(self.get(url, path, query) for url in self.others()))
        return [answer[1] if answer is not None and answer[0] == 200 else None for answer in answers]

    async def cascade(self, number: int, cascade_id: str) -> tuple[int, bytes] | None:
        """A post of partition ``number``, from whoever has it; None if nobody does or it does not answer."""
        url = self._urls().get(number)
        if url is None:
            return None
        return await self.get(url, f"/api/v1/cascades/{quote(cascade_id, safe='')}", {})

    async def close(self) -> None:
        """End the connections."""
        if self._session is not None:
            await self._session.close()
