"""What the embedded broker needs from the machine, and what it says when that is missing. No Kafka is started."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from streams.broker.detached import default_directory, running_broker, stop_detached
from streams.broker.errors import BrokerError, BrokerUnavailableError
from streams.broker.jars import POM, cache_directory, ensure_jars, kafka_version
from streams.broker.java import find_java
from streams.broker.node import NodeSettings, _new_cluster_id, _property
from streams.broker.ports import free_ports, is_free
from streams.broker.state import NodeState, end_process, load_state, process_start_ticks
from streams.cli import broker as broker_command


def executable(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without a cache, whose path holds nothing but what the test puts there."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return tmp_path / "bin"


def assert_names_three_ways_out(error: BaseException) -> None:
    text = str(error)
    assert "Docker compose (deploy/)" in text
    assert "--bootstrap-servers" in text
    assert "`cascadecast forecast FILE`, which needs no broker" in text
    assert "\n" not in text


def test_without_java_the_error_names_three_ways_out(bare_machine: Path) -> None:
    with pytest.raises(BrokerUnavailableError, match="no Java found") as caught:
        find_java()
    assert_names_three_ways_out(caught.value)


@pytest.mark.parametrize(
    ("stated", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "25-ea" 2025-09-16', 25),
        ('openjdk version "21"', 21),
    ],
)
def test_java_from_17_on_is_taken(bare_machine: Path, stated: str, version: int) -> None:
    java = executable(bare_machine / "java", f"echo '{stated}' >&2")
    assert (find_java().version, find_java().path) == (version, java)


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ('java version "1.8.0_392"', "is Java 8, Kafka needs 17"),
        ('openjdk version "11.0.2"', "is Java 11, Kafka needs 17"),
        ("no such thing", "does not name a version"),
    ],
)
def test_an_older_or_strange_java_is_refused(bare_machine: Path, stated: str, said: str) -> None:
    executable(bare_machine / "java", f"echo '{stated}' >&2")
    with pytest.raises(BrokerUnavailableError, match=said) as caught:
        find_java()
    assert_names_three_ways_out(caught.value)


def test_java_home_wins_over_the_path(bare_machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executable(bare_machine / "java", "echo 'openjdk version \"17\"' >&2")
    chosen = executable(tmp_path / "jdk" / "bin" / "java", "echo 'openjdk version \"21\"' >&2")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jdk"))
    assert find_java().path == chosen


def test_without_maven_the_error_names_three_ways_out(bare_machine: Path) -> None:
    with pytest.raises(BrokerUnavailableError, match="Maven") as caught:
        ensure_jars()
    assert_names_three_ways_out(caught.value)


def test_cached_jars_need_no_maven(bare_machine: Path) -> None:
    cache_directory().mkdir(parents=True)
    assert ensure_jars() == cache_directory()


def test_a_maven_that_fails_leaves_no_half_cache(bare_machine: Path) -> None:
    executable(bare_machine / "mvn", "echo '[ERROR] repo.maven.apache.org: unknown host'; exit 1")
    with pytest.raises(BrokerUnavailableError, match="unknown host") as caught:
        ensure_jars()
    assert_names_three_ways_out(caught.value)
    assert [path.suffix for path in cache_directory().parent.iterdir()] == [".lock"]


def test_another_pom_gets_another_cache(tmp_path: Path) -> None:
    other = tmp_path / "pom.xml"
    other.write_text(POM.read_text() + "<!-- another binding -->")
    assert kafka_version(other) == kafka_version()
    assert cache_directory(other) != cache_directory()


def test_ports_are_free_distinct_and_outside_the_ephemeral_range() -> None:
    ports = free_ports(20)
    first_ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert len(set(ports)) == 20
    assert all(is_free(port) and port < max(first_ephemeral, 32_768) for port in ports)
    with socket.create_server(("127.0.0.1", ports[0])):
        assert not is_free(ports[0])
    assert is_free(ports[0])


@pytest.mark.parametrize(("heap", "port"), [("lots", None), ("512", None), ("0m", None), ("1g", 0), ("1g", 70_000)])
def test_impossible_settings_are_refused(tmp_path: Path, heap: str, port: int | None) -> None:
    with pytest.raises(BrokerError):
        NodeSettings(tmp_path, port, heap)


def test_paths_survive_java_properties() -> None:
    assert _property(Path("/a b/ü\\x/😀")) == "/a b/\\u00fc\\u005cx/\\ud83d\\ude00"
    with pytest.raises(BrokerError, match="comma"):
        _property(Path("/a,b"))


def test_cluster_ids_have_kafkas_form() -> None:
    for made in (_new_cluster_id() for _ in range(300)):
        assert len(made) == 22
        assert not made.startswith("-")


def test_a_process_is_known_by_pid_and_start() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        ticks = process_start_ticks(child.pid)
        assert ticks is not None
        ours = NodeState(child.pid, ticks, 1, 2, "512m", "4")
        stranger = NodeState(child.pid, ticks - 1, 1, 2, "512m", "4")
        assert ours.is_running()
        assert end_process(stranger)  # nothing of ours runs: nothing to do
        assert child.poll() is None
        child.kill()
    assert not ours.is_running()
    assert process_start_ticks(os.getpid()) is not None


def test_stop_leaves_a_strangers_process_alone(tmp_path: Path) -> None:
    """The state file's pid was given to another process since."""
    with subprocess.Popen(["sleep", "60"]) as stranger:
        NodeState(stranger.pid, 1, 1, 2, "512m", "4").save(tmp_path)
        assert running_broker(tmp_path) is None
        assert stop_detached(tmp_path) is None
        time.sleep(0.1)
        assert stranger.poll() is None
        stranger.kill()


def test_a_damaged_state_file_counts_as_none(tmp_path: Path) -> None:
    (tmp_path / "broker.json").write_text("{")
    assert load_state(tmp_path) is None


def test_commands_on_a_machine_where_nothing_runs(bare_machine: Path) -> None:
    app = typer.Typer()
    broker_command.register(app)
    status = CliRunner().invoke(app, ["broker", "status"])
    assert (status.exit_code, status.output) == (1, f"no broker runs on {default_directory()}\n")
    assert CliRunner().invoke(app, ["broker", "stop"]).exit_code == 0
    start = CliRunner().invoke(app, ["broker", "start"])
    assert isinstance(start.exception, BrokerUnavailableError)
    assert not default_directory().exists()


GUARDIAN = [sys.executable, "-I", "-S", str(Path(POM).with_name("guardian.py"))]


def test_the_guardian_passes_on_the_exit_status() -> None:
    run = subprocess.run(
        [*GUARDIAN, str(os.getpid()), "", "sh", "-c", "exit 3"], stdin=subprocess.PIPE, capture_output=True
    )
    assert run.returncode in (3, 128 + 15)  # 128 + 15 when the closed pipe was seen first


def test_the_guardian_ends_a_child_that_ignores_the_end_of_the_pipe() -> None:
    with subprocess.Popen(
        [*GUARDIAN, str(os.getpid()), "", "sleep", "60"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as guardian:
        assert guardian.stdin is not None
        assert guardian.stdout is not None
        child = int(guardian.stdout.readline())
        assert process_start_ticks(child) is not None
        guardian.stdin.close()
        assert guardian.wait(10) == 128 + 15
        assert process_start_ticks(child) is None
