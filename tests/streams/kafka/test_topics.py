"""The declaration of the topics, and the commands' answers when there is no broker."""

from __future__ import annotations

import json
import shlex
import socket
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import typer
from typer.testing import CliRunner

from graph.errors import UserError
from streams.cli import replay as replay_command
from streams.cli import topics as topics_command
from streams.kafka import clients as kafka_clients
from streams.kafka.clients import KafkaUnreachableError, default_bootstrap_servers
from streams.kafka.topic_checks import _Check, check_topics
from streams.kafka.topics import TopicsError, declared_topics


@pytest.fixture
def app() -> typer.Typer:
    built = typer.Typer()
    topics_command.register(built)
    replay_command.register(built)
    return built


@pytest.fixture
def mute_port() -> Iterator[int]:
    """A server that accepts connections and never says a word of Kafka's protocol."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_the_five_topics_and_their_keeping() -> None:
    specs = {spec.name: spec for spec in declared_topics(6)}
    assert list(specs) == [
        f"social.{name}" for name in ("events", "forecasts", "forecasts.challenger", "alerts", "scores", "dead-letters")
    ]
    assert {spec.partitions for spec in specs.values()} == {6}
    assert all(spec.configs["cleanup.policy"] == "delete" and spec.reason for spec in specs.values())
    assert specs["social.events"].configs["message.timestamp.type"] == "LogAppendTime"
    assert int(specs["social.dead-letters"].configs["max.message.bytes"]) > 1_048_588


@pytest.mark.parametrize(
    ("asked", "brokers", "copies", "in_sync"), [(None, 1, 1, "1"), (None, 5, 3, "2"), (2, 5, 2, "1")]
)
def test_copies_follow_the_cluster_unless_said(asked: int | None, brokers: int, copies: int, in_sync: str) -> None:
    spec = declared_topics(1, asked)[0]
    assert spec.copies(brokers) == copies
    assert spec.settings(brokers)["min.insync.replicas"] == in_sync


@pytest.mark.parametrize(
    ("partitions", "replication", "prefix"), [(0, None, "s"), (1, 0, "s"), (1, None, "a b"), (1, None, "")]
)
def test_impossible_declarations_are_refused(partitions: int, replication: int | None, prefix: str) -> None:
    with pytest.raises(TopicsError):
        declared_topics(partitions, replication, prefix)


@pytest.mark.parametrize("command", [["topics", "check"], ["topics", "create"], ["replay", __file__]])
def test_an_unreachable_broker_is_one_clear_error_naming_the_address(app: typer.Typer, command: list[str]) -> None:
    began = time.monotonic()
    result = CliRunner().invoke(app, [*command, "--bootstrap-servers", "127.0.0.1:1"])
    assert isinstance(result.exception, UserError)  # `cascadecast` prints it and exits with 2
    assert "127.0.0.1:1" in str(result.exception)
    assert "Connection refused" in str(result.exception)
    assert "\n" not in str(result.exception)
    assert time.monotonic() - began < 12.0


def test_a_mute_server_is_not_taken_for_kafka(mute_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_clients, "CONNECT_SECONDS", 1.5)
    with pytest.raises(KafkaUnreachableError, match=str(mute_port)):
        check_topics(f"127.0.0.1:{mute_port}", declared_topics())


def test_an_address_that_is_none_is_said() -> None:
    with pytest.raises(KafkaUnreachableError, match=r"no\.such\.host\.invalid"):
        check_topics("no.such.host.invalid:9092", declared_topics())


def test_the_environment_names_the_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CASCADECAST_BOOTSTRAP_SERVERS", raising=False)
    assert default_bootstrap_servers() == "127.0.0.1:9092"
    monkeypatch.setenv("CASCADECAST_BOOTSTRAP_SERVERS", "kafka:1")
    assert default_bootstrap_servers() == "kafka:1"


def test_the_mend_of_too_few_copies_is_a_reassignment_that_keeps_those_there_are() -> None:
    partitions = {n: SimpleNamespace(replicas=[copy]) for n, copy in enumerate((1, 2, 3))}
    check = _Check("k:9092", declared_topics(3), None, [1, 2, 3])
    (found,) = check.layout(declared_topics(3)[0], SimpleNamespace(partitions=partitions))
    assert (found.what, found.found, found.wanted) == ("replication", "1", "3")
    command = shlex.split(found.mend)
    assert command[4:] == [
        "&&",
        *[
            "kafka-reassign-partitions.sh",
            "--bootstrap-server",
            "k:9092",
            "--reassignment-json-file",
            "reassign.json",
            "--execute",
        ],
    ]
    plan = json.loads(command[1])["partitions"]
    assert [one["replicas"][0] for one in plan] == [1, 2, 3]
    assert all(sorted(one["replicas"]) == [1, 2, 3] for one in plan)


def test_more_copies_than_brokers_cannot_be_had() -> None:
    check = _Check("k:9092", declared_topics(1, 2), None, [1])
    (found,) = check.layout(declared_topics(1, 2)[0], SimpleNamespace(partitions={0: SimpleNamespace(replicas=[1])}))
    assert "add brokers" in found.mend
