"""The top list and single posts over all workers, whichever of them is asked."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

import msgspec

from streams.web.answers import CascadeDetail, Top
from streams.web.peers import Peers
from streams.web.reader import LiveReader, Sort, leading

PEERS_ANSWER_SECONDS: Final = 1.0
"""Age up to which the lists of other workers are used again: however many people watch, a worker asks once a second."""

_decode_top = msgspec.json.Decoder(Top).decode


class ElsewhereError(Exception):
    """The cascade's partition lies in a worker that does not answer, or in none yet."""


@dataclass(frozen=True, slots=True)
class _Lists:
    """What the others said, and when (monotonic s)."""

    at: float
    tops: list[Top | None]


class LiveAnswers:
    """Answers for the whole installation."""

    def __init__(self, reader: LiveReader, peers: Peers) -> None:
        self.reader = reader
        self._peers = peers
        self._lists: dict[tuple[Sort, int, str | None], _Lists] = {}

    async def top(self, sort: Sort, limit: int, source: str | None, *, local: bool = False) -> Top:
        """The leaders of all workers that answer; with ``local`` of this one."""
        own = self.reader.top(sort, limit, source)
        if local:
            return own
        tops = await self._others(sort, limit, source)
        answering = [own, *(top for top in tops if top is not None)]
        posts = {post.cascade: post for top in answering for post in top.cascades}
        return Top(
            sort=sort.value,
            watermark=max((top.watermark for top in answering if top.watermark is not None), default=None),
            live_cascades=sum(top.live_cascades for top in answering),
            workers=1 + len(tops),
            workers_answering=len(answering),
            cascades=leading(list(posts.values()), sort, limit),
        )

    async def _others(self, sort: Sort, limit: int, source: str | None) -> list[Top | None]:
        if not self._peers.others():
            return []
        now = time.monotonic()
        self._lists = {key: known for key, known in self._lists.items() if now - known.at < PEERS_ANSWER_SECONDS}
        key = (sort, limit, source)
        if key not in self._lists:
            query = {"sort": sort.value, "top": str(limit)} | ({"source": source} if source is not None else {})
            bodies = await self._peers.get_all("/api/v1/cascades", query)
            self._lists[key] = _Lists(now, [_read(body) for body in bodies])
        return self._lists[key].tops

    async def cascade(self, cascade_id: str, *, local: bool = False) -> CascadeDetail | None:
        """A live post of any worker, None if there is none. Raises `ElsewhereError`."""
        if self.reader.owns(cascade_id):
            return await self.reader.cascade(cascade_id)
        answer = None if local else await self._peers.cascade(self.reader.partition_number(cascade_id), cascade_id)
        if answer is None or answer[0] not in (200, 404):
            raise ElsewhereError(cascade_id)
        status, body = answer
        if status == 404:
            return None
        try:
            return msgspec.json.decode(body, type=CascadeDetail)
        except msgspec.DecodeError:
            raise ElsewhereError(cascade_id) from None


def _read(body: bytes | None) -> Top | None:
    try:
        return _decode_top(body) if body is not None else None
    except msgspec.DecodeError:
        return None
