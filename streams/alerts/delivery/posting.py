"""One HTTP POST: sent, answered or failed, and whether trying again can help."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final, Self

import aiohttp

from streams.alerts.delivery.targets import Target
from streams.alerts.delivery.targets_file import TargetsError

MAX_ANSWER_BYTES: Final = 4096
"""Read of an answer: enough for its reason."""

MAX_REASON_CHARACTERS: Final = 300

MAX_RETRY_AFTER_SECONDS: Final = 3600.0
"""A service may ask for a pause; one of days would be a mistake of its own."""

SHORTEST_SECRET: Final = 6
"""Cut out of answers; shorter ones would cut words to pieces, and tell themselves by that."""

USER_AGENT: Final = "cascadecast"


class Trouble(StrEnum):
    """Why a try failed."""

    CONNECTION = "connection"  # refused, reset, no such host
    TLS = "tls"  # no trust
    TIMEOUT = "timeout"
    GARBAGE = "garbage"  # no HTTP
    THROTTLED = "throttled"  # 429
    REFUSED = "refused"  # any other status that blames the request
    UNAVAILABLE = "unavailable"  # all other statuses


class SendError(Exception):
    """A try failed. ``final``: this record will never be taken, however often it is tried."""

    def __init__(
        self, trouble: Trouble, message: str, *, final: bool = False, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(message)
        self.trouble = trouble
        self.final = final
        self.retry_after_seconds = retry_after_seconds

    def copy(self) -> SendError:
        """The same for another who waits: an exception raised twice would carry two stacks."""
        return SendError(self.trouble, str(self), final=self.final, retry_after_seconds=self.retry_after_seconds)


@dataclass(frozen=True, slots=True)
class Request:
    """What is posted. URL and headers may hold a secret and are not shown by ``repr``; ``shown_url`` holds none."""

    url: str = field(repr=False)
    shown_url: str
    body: bytes
    headers: Mapping[str, str] = field(repr=False, default_factory=dict)


class Poster:
    """Posts to one target, over connections that are kept."""

    def __init__(self, target: Target, secrets: Iterable[str], final: Callable[[int], bool]) -> None:
        """``secrets`` are cut out of whatever is said of failures; ``final`` tells statuses that blame the record.

        Raises TargetsError when ``ca_file`` cannot be used.
        """
        self._timeout_seconds = target.timeout_seconds
        self._proxy = target.proxy
        self._secrets = [secret for secret in secrets if len(secret) >= SHORTEST_SECRET]
        self._final = final
        self._tls = _tls_context(target)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self._timeout_seconds),
            headers={"User-Agent": USER_AGENT},
            connector=aiohttp.TCPConnector(ssl=self._tls),
            # Cookies would let one answer change the next request.
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(self, *raised: object) -> None:
        assert self._session is not None
        await self._session.close()

    async def post(self, request: Request) -> None:
        """Returns once the other side has taken it. Raises `SendError`."""
        assert self._session is not None
        headers = {"Content-Type": "application/json", **request.headers}
        try:
            # Not followed: what is signed or secret is meant for this address alone.
            async with self._session.post(
                request.url, data=request.body, headers=headers, proxy=self._proxy, allow_redirects=False
            ) as answer:
                if 200 <= answer.status < 300:
                    return
                raise self._refusal(answer.status, answer.headers.get("Retry-After"), await _beginning(answer))
        except TimeoutError:
            raise SendError(Trouble.TIMEOUT, f"no answer within {self._timeout_seconds:g} s") from None
        except aiohttp.ClientSSLError as error:
            raise SendError(Trouble.TLS, self._clean(str(error))) from None
        except (aiohttp.ClientConnectionError, OSError) as error:
            raise SendError(Trouble.CONNECTION, self._clean(str(error) or type(error).__name__)) from None
        except aiohttp.ClientError as error:
            raise SendError(Trouble.GARBAGE, self._clean(f"{type(error).__name__}: {error}")) from None

    def _refusal(self, status: int, retry_after: str | None, said: bytes) -> SendError:
        reason = self._clean(said.decode("utf-8", "replace"))
        final = self._final(status)
        trouble = Trouble.THROTTLED if status == 429 else Trouble.REFUSED if final else Trouble.UNAVAILABLE
        message = f"HTTP {status}: {reason}" if reason else f"HTTP {status}"
        wait = retry_after_seconds(retry_after, time.time())
        return SendError(trouble, message, final=final, retry_after_seconds=wait)

    def _clean(self, text: str) -> str:
        """One line without secrets, which an answer may repeat."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return " ".join("".join(one if one.isprintable() else " " for one in text).split())[:MAX_REASON_CHARACTERS]


async def _beginning(answer: aiohttp.ClientResponse) -> bytes:
    """Of the answer's body, whole pieces only: a secret that is cut in two would not be known."""
    said = b""
    while len(said) < MAX_ANSWER_BYTES and (piece := await answer.content.read(MAX_ANSWER_BYTES)):
        said += piece
    return said


def retry_after_seconds(header: str | None, now: float) -> float | None:
    """How long a Retry-After header asks to wait: seconds or a date (RFC 9110). None where it says nothing.

    >>> retry_after_seconds("30", 0.0), retry_after_seconds("Thu, 01 Jan 1970 00:01:00 GMT", 45.0)
    (30.0, 15.0)
    """
    if header is None:
        return None
    try:
        seconds = float(header) if header.strip().isdecimal() else _seconds_until(header, now)
    except (ValueError, OverflowError):
        return None
    return min(max(0.0, seconds), MAX_RETRY_AFTER_SECONDS)


def _seconds_until(date: str, now: float) -> float:
    moment = parsedate_to_datetime(date)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now


def _tls_context(target: Target) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=target.ca_file)
    except (OSError, ValueError) as error:  # SSLError is an OSError
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "no PEM certificate"
        raise TargetsError(f"ca_file: cannot use {target.ca_file}: {reason}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
