"""The short form of the chaos runs; ``make chaos`` runs as many seeds as one likes."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.broker.ports import free_ports
from streams.engine.changes import Fate
from streams.engine.partition import Partition
from streams.settings import Settings
from tests.integration.chaos.proxy import Proxy
from tests.integration.chaos.run import Plan, cheap_blend, run, settings_of
from tests.integration.chaos.schedule import ALL_KINDS, MAX_WORKERS, schedule
from tests.integration.chaos.stream import make_stream, simulated_pool


@pytest.mark.timeout(600)
def test_faults_change_nothing_that_comes_out(kafka_jars: None, tmp_path: Path) -> None:
    plan = Plan(events=5_000, replay_seconds=10.0, faults=6)
    pool = simulated_pool(1, 60)
    verdict = run(2, pool, cheap_blend(tmp_path), plan, tmp_path)
    assert verdict["equal"], verdict
    assert verdict["forecasts"] > 500
    assert verdict["scores"] > 100
    assert verdict["alerts opened"] > 20
    assert verdict["dead letters"] > 30
    assert sum(fault["struck"] for fault in verdict["faults"]) >= 3


def test_a_seed_says_which_faults_strike_and_when() -> None:
    for seed in range(50):
        made = schedule(seed, faults=5, begin_seconds=4.0, end_seconds=24.0)
        assert made == schedule(seed, faults=5, begin_seconds=4.0, end_seconds=24.0)
        times = [fault.at_seconds for fault in made.faults]
        assert times == sorted(times)
        assert all(4.0 <= at <= 24.0 for at in times)
        assert len({fault.kind for fault in made.faults}) == 5
        assert 1 <= made.workers <= MAX_WORKERS
    assert {fault.kind for seed in range(50) for fault in schedule(seed).faults} == set(ALL_KINDS)


def test_a_seed_says_what_the_stream_is() -> None:
    pool = simulated_pool(3, 10)
    one, same, other = (make_stream(pool, seed, 500) for seed in (1, 1, 2))
    assert (one.lines, one.strays) == (same.lines, same.strays)
    assert one.lines != other.lines
    assert len(one.lines) > len(one.events) > 500
    times = [event.time for event in one.events]
    assert times != sorted(times), "some must come late"
    assert len({event.id for event in one.events}) < len(times), "some must come twice"


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that sends back what it gets."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=_echo, args=(connection,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def _echo(connection: socket.socket) -> None:
    with connection:
        try:
            while data := connection.recv(4096):
                connection.sendall(data)
        except OSError:
            return


def test_the_proxy_forwards_stalls_resets_and_refuses(echo: int) -> None:
    (port,) = free_ports(1)
    with Proxy(port, echo) as proxy:
        client = socket.create_connection(("127.0.0.1", port), timeout=10.0)
        client.sendall(b"one")
        assert client.recv(10) == b"one"
        proxy.stall()
        client.settimeout(0.3)
        client.sendall(b"two")
        with pytest.raises(TimeoutError):
            client.recv(10)
        proxy.resume()
        client.settimeout(10.0)
        assert client.recv(10) == b"two"
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            client.recv(10)
        client.close()
        proxy.refuse()
        assert _is_refused(port)
        proxy.resume()
        with socket.create_connection(("127.0.0.1", port), timeout=10.0) as again:
            again.sendall(b"three")
            assert again.recv(10) == b"three"


def _is_refused(port: int) -> bool:
    try:  # the end may come before the connection is known to be made
        with socket.create_connection(("127.0.0.1", port), timeout=10.0) as connection:
            return connection.recv(10) == b""
    except ConnectionResetError:
        return True


def test_what_is_sent_again_moves_no_clock() -> None:
    stream = make_stream(simulated_pool(3, 40), 5, 4_000)
    settings = Settings(**settings_of(1, Path()), partitions=1)
    once, again = Partition(0, settings), Partition(0, settings)
    chance = random.Random(1)
    late = 0
    for number, event in enumerate(stream.events):
        once.apply_events([event])
        copies = [stream.events[chance.randrange(number + 1)] for _ in range(2)]
        late += again.apply_events([event, *copies]).fates[Fate.LATE]
        assert again.watermark.value == once.watermark.value
    assert again.watermark.evidence() == once.watermark.evidence()
    assert late > 100, "some must come once their cascade has left"
