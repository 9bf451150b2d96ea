"""The OpenAPI document, held against the server by whoever reads documents for a living."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from streams.settings import Settings
from streams.web.openapi import document
from tests.streams.conftest import random_stream
from tests.streams.web.conftest import site

schema = schemathesis.openapi.from_dict(document())
finite = schema.exclude(path="/api/v1/stream")
"""The stream of updates ends only with its reader."""


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    """A server with live posts, on a loop of its own: the requests come from ordinary functions."""
    found: list[str] = []
    served, done = threading.Event(), threading.Event()

    async def serve() -> None:
        engine = Settings(models=("doubling",), allowed_lateness_seconds=0, forecast_delay_seconds=60)
        async with site(engine) as here:
            events = random_stream(3)
            await here.take(events, events[-1].time)
            found.append(here.url(""))
            served.set()
            await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert served.wait(30)
    yield found[0]
    done.set()
    thread.join(30)


@finite.parametrize()
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_every_answer_is_as_the_document_says(case: schemathesis.Case, base_url: str) -> None:
    case.call_and_validate(base_url=base_url)


def test_a_live_posts_answer_is_as_the_document_says(base_url: str) -> None:
    operation = schema["/api/v1/cascades/{id}"]["GET"]
    for name in ("c1", "c7", "c12"):
        answer = operation.Case(path_parameters={"id": name}).call_and_validate(base_url=base_url)
        assert answer.status_code in (200, 404)


def test_all_routes_are_in_the_document() -> None:
    assert set(document()["paths"]) == {
        "/api/v1/cascades",
        "/api/v1/cascades/{id}",
        "/api/v1/models",
        "/api/v1/stream",
    }
