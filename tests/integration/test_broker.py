"""The embedded broker: serves real clients, keeps its data, leaves nothing behind, however its owner ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from streams.broker import BrokerError, EmbeddedBroker, running_broker, start_detached, stop_detached
from streams.broker.jars import cache_directory
from streams.broker.ports import free_ports, is_free
from streams.broker.state import process_start_ticks
from tests.integration.conftest import assert_gone

pytestmark = pytest.mark.usefixtures("kafka_jars")


def eventually(condition: Callable[[], bool], seconds: float = 15.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def write(broker: str, topic: str, values: list[bytes]) -> None:
    admin = AdminClient({"bootstrap.servers": broker})
    if topic not in admin.list_topics(timeout=10).topics:
        for answer in admin.create_topics([NewTopic(topic, 1, 1)]).values():
            answer.result(10)
    producer = Producer({"bootstrap.servers": broker})
    for value in values:
        producer.produce(topic, value)
    assert producer.flush(10) == 0


def read(broker: str, topic: str, count: int, *, as_group: bool = False) -> list[bytes]:
    consumer = Consumer({"bootstrap.servers": broker, "group.id": "reader", "auto.offset.reset": "earliest"})
    if as_group:
        consumer.subscribe([topic])
    else:
        consumer.assign([TopicPartition(topic, 0, 0)])
    try:
        found: list[bytes] = []
        deadline = time.monotonic() + 20
        while len(found) < count and time.monotonic() < deadline:
            message = consumer.poll(0.5)
            if message is not None and message.error() is None:
                found.append(message.value() or b"")
        return found
    finally:
        consumer.close()


def test_serves_consumer_groups_and_ends_without_a_trace() -> None:
    began = time.monotonic()
    with EmbeddedBroker() as broker:
        assert time.monotonic() - began < 30.0
        write(broker.bootstrap_servers, "t", [b"a", b"b"])
        assert read(broker.bootstrap_servers, "t", 2, as_group=True) == [b"a", b"b"]
        assert broker.log_path.stat().st_size > 0
        pid, port, directory = broker.pid, broker.port, broker.directory
    assert_gone(pid, port)
    assert not directory.exists()


def test_keeps_data_and_ports_over_restart_and_crash(tmp_path: Path) -> None:
    with EmbeddedBroker(tmp_path / "data") as broker:
        address = broker.bootstrap_servers
        write(address, "t", [b"1"])
        broker.restart()
        assert broker.bootstrap_servers == address
        write(address, "t", [b"2"])
        broker.kill()
        assert not broker.is_running()
        broker.start()
        write(address, "t", [b"3"])
        assert read(address, "t", 3) == [b"1", b"2", b"3"]
    with EmbeddedBroker(tmp_path / "data") as broker:
        assert broker.bootstrap_servers == address
        assert AdminClient({"bootstrap.servers": address}).list_topics("t", timeout=10).topics["t"].partitions


OWNER = """
import sys, time, multiprocessing, threading
from streams.broker import EmbeddedBroker
broker = EmbeddedBroker()
thread = threading.Thread(target=broker.start)  # a thread that is gone when the test looks
thread.start(); thread.join()
if sys.argv[1] == "with-fork":  # holds a copy of every pipe for longer than the test lasts
    multiprocessing.get_context("fork").Process(target=time.sleep, args=(20,), daemon=True).start()
print(broker.pid, broker.port, broker.directory, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("fork", ["alone", "with-fork"])
def test_dies_with_its_owner_though_that_was_killed(fork: str) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, fork], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert owner.stdout is not None
    pid, port, directory = owner.stdout.readline().split()
    time.sleep(1.5)  # a death signal bound to the starting thread would have struck by now
    assert process_start_ticks(int(pid)) is not None
    owner.kill()
    owner.wait()
    try:
        assert eventually(lambda: process_start_ticks(int(pid)) is None)
        assert_gone(int(pid), int(port))
        assert eventually(lambda: not Path(directory).exists())
    finally:
        owner.stdout.close()
        os.killpg(owner.pid, signal.SIGKILL) if fork == "with-fork" else None


def test_dies_with_its_guardian() -> None:
    with EmbeddedBroker() as broker:
        parent = int(Path(f"/proc/{broker.pid}/stat").read_text().rpartition(")")[2].split()[1])
        assert parent != os.getpid()
        os.kill(parent, signal.SIGKILL)
        assert eventually(lambda: process_start_ticks(broker.pid) is None)


def test_a_taken_port_is_said_and_nothing_is_left() -> None:
    (port,) = free_ports(1)
    with socket.create_server(("127.0.0.1", port)), pytest.raises(BrokerError, match=f"port {port} is in use"):
        EmbeddedBroker(port=port).start()


def test_an_early_end_shows_the_last_lines_of_the_log(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "meta.properties").write_text("version=1\nnode.id=7\ncluster.id=none\n")
    with pytest.raises(BrokerError, match=r"(?s)ended before it served.*Stored node id 7"):
        EmbeddedBroker(tmp_path).start()


def test_a_detached_broker_is_found_again_and_stopped(tmp_path: Path) -> None:
    assert running_broker(tmp_path) is None
    assert stop_detached(tmp_path) is None
    state = start_detached(tmp_path)
    try:
        assert running_broker(tmp_path) == state
        assert start_detached(tmp_path) == state
        with pytest.raises(BrokerError, match="already runs"):
            EmbeddedBroker(tmp_path).start()
        write(state.bootstrap_servers, "t", [b"kept"])
    finally:
        assert stop_detached(tmp_path) == state
    assert_gone(state.pid, state.port)
    assert running_broker(tmp_path) is None
    assert is_free(state.port)


def test_starters_at_the_same_time_share_one_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five threads need the jars at once; a Maven that counts its runs serves the real ones from the cache."""
    jars = cache_directory()
    fake = tmp_path / "bin" / "mvn"
    fake.parent.mkdir()
    fake.write_text(
        f"#!/bin/sh\necho run >> {tmp_path}/runs\nsleep 0.3\n"
        f'for word in "$@"; do case $word in -DoutputDirectory=*) cp -r {jars} "${{word#*=}}";; esac; done\n'
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    program = "from streams.broker.jars import ensure_jars; print(len(list(ensure_jars().glob('*.jar'))))"
    counts: list[str] = []

    def start() -> None:
        counts.append(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout)

    threads = [threading.Thread(target=start) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [f"{len(list(jars.glob('*.jar')))}\n"] * 5
    assert (tmp_path / "runs").read_text() == "run\n"
    left = {path.suffix for path in cache_directory().parent.iterdir()}
    assert len(list(cache_directory().parent.iterdir())) == 2, left  # the jars and the lock
