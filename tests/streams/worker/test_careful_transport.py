"""What is fetched around a recovery reaches whoever it is for, and the client is moved where it runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from types import SimpleNamespace
from typing import Any

import faust
import pytest
from aiokafka.consumer.fetcher import Fetcher, FetchResult
from aiokafka.structs import ConsumerRecord
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.worker.batched_transport import BatchedTransport
from streams.worker.careful_transport import FETCH_WAIT_MS, CarefulTransport, Wanted
from streams.worker.gathering import Gathering
from tests.streams.worker.test_gathering import Working

EVENTS, COPY = TP("social.events", 0), TP("app-segments-changelog", 2)


def careful(app: faust.App) -> CarefulTransport:
    return CarefulTransport(app.conf.broker_consumer, app)


def batched(app: faust.App) -> CarefulTransport:
    gathering = Gathering(Working(), 0.0, 1000)
    return BatchedTransport(app, EVENTS.topic, lambda _: None, lambda partition, offset: None, gathering)


@pytest.fixture(params=[careful, batched])
async def consumer(request: pytest.FixtureRequest) -> Any:
    """As Faust makes it of either transport."""
    app = faust.App("careful-transport-test", broker="kafka://127.0.0.1:1", web_enabled=False)
    app.transport = request.param(app)
    return app.transport.create_consumer(print, on_partitions_revoked=None, on_partitions_assigned=None)


class Fetched:
    """What a client has fetched of a partition from the beginning on."""

    def __init__(self, partition: TP, count: int) -> None:
        self.next_fetch_offset = 0
        self._records = [
            ConsumerRecord(partition.topic, partition.partition, offset, 0, 1, b"key", b"value", None, 3, 5, ())
            for offset in range(count)
        ]

    def __iter__(self) -> Iterator[ConsumerRecord]:
        for one in self._records:
            self.next_fetch_offset = one.offset + 1
            yield one


def client_with(fetched: dict[TP, Fetched]) -> Fetcher:
    """A client that has fetched this and is asked for it."""
    assignment = SimpleNamespace(
        active=True,
        state_value=lambda tp: SimpleNamespace(paused=False, position=0, consumed_to=lambda offset: None),
    )
    client = Fetcher.__new__(Fetcher)
    client._subscriptions = SimpleNamespace(reassignment_in_progress=False, is_assigned=lambda tp: True)
    client._wait_consume_future = None
    client._records = {
        tp: FetchResult(tp, assignment=assignment, partition_records=one, backoff=0) for tp, one in fetched.items()
    }
    return client


async def test_where_nothing_is_wanted_any_more_nothing_is_given_out() -> None:
    """Faust empties its set of partitions when a recovery is done, while the client waits for records."""
    recovering = {TP(COPY.topic, 0)}
    client, wanted = client_with({COPY: Fetched(COPY, 3)}), Wanted(recovering)
    recovering.clear()
    assert await client.fetched_records(wanted, 0) == {}
    recovering.add(COPY)
    found = await client.fetched_records(wanted, 0)
    assert [one.offset for one in found[COPY]] == [0, 1, 2], "they are kept until they are wanted"


async def test_to_the_client_an_empty_set_is_every_partition() -> None:
    """Once this fails it is not any more, and `Wanted` can go."""
    assert list(await client_with({COPY: Fetched(COPY, 3)}).fetched_records(set(), 0)) == [COPY]


async def test_the_client_is_asked_for_what_is_wanted_when_it_looks(
    consumer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    async def getmany(active_partitions: Any, timeout: float) -> dict[TP, list[ConsumerRecord]]:
        asked.append(active_partitions)
        return {}

    monkeypatch.setattr(consumer._thread, "getmany", getmany)
    active = {EVENTS}
    await consumer._getmany(active, 0.0)
    assert EVENTS in asked[0]
    active.clear()
    assert EVENTS not in asked[0]
    assert bool(asked[0])
    await consumer._getmany(None, 0.0)
    assert asked[1] is None, "all partitions, for an app that has none of its own"


async def test_the_client_seeks_in_its_own_thread(consumer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    in_thread, sought = False, list[tuple[TP, int, bool]]()

    async def call_thread(function: Callable[[], Awaitable[None]]) -> None:
        nonlocal in_thread
        in_thread = True
        await function()
        in_thread = False

    monkeypatch.setattr(consumer._thread, "call_thread", call_thread)
    monkeypatch.setattr(consumer._thread, "seek", lambda tp, offset: sought.append((tp, offset, in_thread)))
    await consumer.seek(EVENTS, 5)
    assert sought == [(EVENTS, 5, True)]
    assert consumer._read_offset[EVENTS] == 5


def test_the_private_methods_of_faust_are_still_there() -> None:
    for name in ("_getmany", "_seek", "_new_consumer_thread"):
        assert name in vars(CarefulTransport.Consumer)
        assert hasattr(driver.Consumer, name)
    assert hasattr(driver.AIOKafkaConsumerThread, "_create_worker_consumer")


async def test_a_broker_is_asked_to_wait_less_than_faust_would(consumer: Any) -> None:
    assert consumer._thread._create_worker_consumer(consumer.transport)._fetch_max_wait_ms == FETCH_WAIT_MS
