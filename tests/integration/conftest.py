"""A real Apache Kafka for the tests: the product's own embedded broker on free ports, one a pytest process.

With pytest-xdist each worker process starts its own; nothing is shared between them but the cache of jars.
"""

from __future__ import annotations

import itertools
import os
import re
import socket
import warnings
from collections.abc import Iterator

import pytest

from streams.broker import BrokerUnavailableError, EmbeddedBroker
from streams.broker.jars import ensure_jars
from streams.broker.java import find_java
from streams.broker.state import process_start_ticks

_NUMBERS = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever lies in this folder is an integration test."""
    for item in items:
        if "tests/integration/" in item.path.as_posix():
            item.add_marker(pytest.mark.integration)


@pytest.fixture(scope="session")
def kafka_jars() -> None:
    """Skip without Java or Maven, loudly; on CI their lack is a failure."""
    try:
        find_java()
        ensure_jars()
    except BrokerUnavailableError as error:
        if os.environ.get("CI", "").lower() in ("true", "1"):
            pytest.fail(f"CI must run the integration tests: {error}", pytrace=False)
        warnings.warn(f"INTEGRATION TESTS SKIPPED: {error}", stacklevel=1)
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def kafka(kafka_jars: None) -> Iterator[EmbeddedBroker]:
    """A running broker with temporary data; at the end nothing of it may be left."""
    with EmbeddedBroker() as broker:
        yield broker
        pid, port, directory = broker.pid, broker.port, broker.directory
        broker.kill()  # to end cleanly, with the topics of all tests, takes it half a minute
    assert_gone(pid, port)
    assert not directory.exists(), f"{directory} was left behind"


@pytest.fixture
def topic_prefix(request: pytest.FixtureRequest) -> str:
    """A prefix for topic names that no other test of this broker uses."""
    name = re.sub(r"[^a-zA-Z0-9]+", "-", request.node.name)[:60].strip("-")
    return f"{name}-{next(_NUMBERS)}"


def assert_gone(pid: int, port: int) -> None:
    """Neither the process nor its port is there any more."""
    assert process_start_ticks(pid) is None, f"Kafka (pid {pid}) still runs"
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
        pass
