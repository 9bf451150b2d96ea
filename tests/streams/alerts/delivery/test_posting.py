"""One POST against a real server: each way to fail is known by its name, and no secret is told."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from streams.alerts.delivery import alertmanager, slack, webhook
from streams.alerts.delivery.posting import (
    MAX_RETRY_AFTER_SECONDS,
    Poster,
    Request,
    SendError,
    Trouble,
    retry_after_seconds,
)
from streams.alerts.delivery.targets import WebhookTarget
from tests.integration.certificates import Authority
from tests.streams.alerts.delivery.http_service import Answer, http_service

SECRET = "tell-nobody"


async def post(url: str, **changes: Any) -> SendError | None:
    """The error, if it failed."""
    target = WebhookTarget(type="webhook", url=url, **{"timeout_seconds": 5.0, **changes})
    async with Poster(target, [SECRET], webhook.blames_the_record) as poster:
        try:
            await poster.post(Request(url, url, b'{"a": 1}', {"Authorization": f"Bearer {SECRET}"}))
        except SendError as error:
            return error
    return None


async def test_what_is_answered_with_200_is_taken() -> None:
    async with http_service() as service:
        assert await post(service.url) is None
    (taken,) = service.taken
    assert taken.body == b'{"a": 1}'
    assert taken.headers["Content-Type"] == "application/json"
    assert taken.headers["Authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize(
    ("status", "trouble", "final"),
    [
        (400, Trouble.REFUSED, True),
        (404, Trouble.REFUSED, True),
        (408, Trouble.UNAVAILABLE, False),
        (429, Trouble.THROTTLED, False),
        (500, Trouble.UNAVAILABLE, False),
        (503, Trouble.UNAVAILABLE, False),
        (302, Trouble.UNAVAILABLE, False),
    ],
)
async def test_a_status_says_whether_to_try_again(status: int, trouble: Trouble, final: bool) -> None:
    async with http_service() as service:
        service.statuses = [status]
        service.text = f"said\n{SECRET}\x1b[31m"
        error = await post(service.url)
    assert error is not None
    assert (error.trouble, error.final) == (trouble, final)
    assert str(error) == f"HTTP {status}: said *** [31m"


def test_what_blames_the_record_differs_by_target() -> None:
    statuses = set(range(200, 600))
    assert set(filter(alertmanager.blames_the_record, statuses)) == {400, 413, 422}
    assert set(filter(slack.blames_the_record, statuses)) == {400, 413}
    assert set(filter(webhook.blames_the_record, statuses)) == set(range(400, 500)) - {408, 425, 429}


async def test_what_is_secret_is_not_sent_on_to_another_address() -> None:
    async with http_service() as elsewhere, http_service() as service:
        service.statuses, service.headers = [307], {"Location": elsewhere.url}
        assert await post(service.url) is not None
    assert not elsewhere.taken


async def test_a_connection_that_is_refused() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        error = await post(f"http://127.0.0.1:{unused.getsockname()[1]}/")
    assert error is not None
    assert (error.trouble, error.final) == (Trouble.CONNECTION, False)


async def slow(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(5)
    return web.Response()


async def slow_in_the_middle(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(status=500)
    await answer.prepare(request)
    await answer.write(b"first")
    await asyncio.sleep(5)
    return answer


@pytest.mark.parametrize("answer", [slow, slow_in_the_middle])
async def test_an_answer_that_does_not_come_in_time(answer: Answer) -> None:
    async with http_service(answer=answer) as service:
        error = await post(service.url, timeout_seconds=0.2)
    assert error is not None
    assert (error.trouble, str(error)) == (Trouble.TIMEOUT, "no answer within 0.2 s")


@pytest.mark.parametrize(
    ("said", "trouble"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", Trouble.GARBAGE),
        (b"HTTP/1.1 abc\r\n\r\n", Trouble.GARBAGE),
        (b"", Trouble.CONNECTION),
        (b"HTTP/1.1 500 E\r\nContent-Length: 100\r\n\r\nshort", Trouble.GARBAGE),
    ],
)
async def test_garbage_and_broken_connections(said: bytes, trouble: Trouble) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(said)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with server:
        error = await post(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    assert error is not None
    assert (error.trouble, error.final) == (trouble, False)


async def test_tls_is_trusted_by_the_authority_that_is_named_alone(tmp_path: Path) -> None:
    authority, stranger = Authority.create(tmp_path), Authority.create(tmp_path, "stranger")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.issue(tmp_path, "server", ("127.0.0.1",)))
    async with http_service(context) as service:
        assert await post(service.url, ca_file=authority.file) is None
        for ca_file in (stranger.file, None):
            error = await post(service.url, ca_file=ca_file)
            assert error is not None
            assert error.trouble is Trouble.TLS
        other_name = await post(service.url.replace("127.0.0.1", "localhost"), ca_file=authority.file)
        assert other_name is not None
        assert other_name.trouble is Trouble.TLS


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        ("0", 0.0),
        ("999999999", MAX_RETRY_AFTER_SECONDS),
        ("Thu, 01 Jan 1970 00:02:00 GMT", 20.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("1e5", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(header, 100.0) == seconds


@given(st.text(max_size=60))
def test_no_retry_after_does_harm(header: str) -> None:
    seconds = retry_after_seconds(header, 0.0)
    assert seconds is None or 0.0 <= seconds <= MAX_RETRY_AFTER_SECONDS
