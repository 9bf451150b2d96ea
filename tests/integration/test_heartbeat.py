"""Heartbeats through a real Kafka: they arrive, from every partition, and nothing else is other than without them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import msgspec
from confluent_kafka import Producer
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from graph import read_events, write_events
from graph.ordering import ordered
from graph.simulation import Simulation
from graph.simulator import simulated_events
from streams.broker import EmbeddedBroker
from streams.broker.listener import Listener
from streams.engine.forecast_file import forecast_events
from streams.engine.inference import load_service
from streams.kafka.clients import kafka_client_config
from streams.kafka.control_records import HEARTBEAT_HEADER
from streams.kafka.topics import create_topics, declared_topics
from streams.replay.publishing import ReplayPlan, replay
from streams.replay.repartition import repartition
from streams.settings import Settings
from streams.state.verification import verify_state
from tests.integration.harness import Stream, Worker
from tests.integration.test_worker import assert_same_forecasts
from tests.streams.conftest import cascade_events

OWN = {"HEARTBEAT_SECONDS": "0.5", "RETENTION_GRACE_SECONDS": "1e9"}


def test_heartbeats_arrive_and_change_nothing(kafka: EmbeddedBroker, topic_prefix: str, tmp_path: Path) -> None:
    """With outputs in transactions, which is the longer way."""
    path = tmp_path / "events.jsonl"
    simulation = Simulation(seed=4, hours=2.0, mean_size=20.0, lifetime_hours=6.0)
    write_events(path, ordered(simulated_events(simulation, 30)))
    engine = Settings(models=("seismic", "hawkes"), retention_grace_seconds=1e9, partitions=4)
    expected = {
        record.id: json.loads(msgspec.json.encode(record))
        for record in forecast_events(read_events(str(path)), engine, load_service(engine))
    }
    server = kafka.bootstrap_servers
    stream = Stream(server, topic_prefix, {**OWN, "PROCESSING_GUARANTEE": "exactly_once"}).create()
    with Worker(stream, tmp_path) as worker:
        worker.wait_ready(60)

        def arrived() -> float:
            return worker.metrics()['cascadecast_heartbeat_seconds_count{stage="out"}']

        worker._wait(lambda: arrived() >= 8, 60, "sending heartbeats through quiet partitions")
        replay(ReplayPlan(str(path), server, stream.prefix))
        worker._wait(lambda: len(stream.forecasts()) >= len(expected), 60, "forecasting")
        before = arrived()
        worker._wait(lambda: arrived() >= before + 8, 60, "sending heartbeats behind the stream")
        metrics = worker.metrics()
        assert worker.terminate() == 0
    fates = {name: value for name, value in metrics.items() if name.startswith("cascadecast_events_total")}
    assert metrics["cascadecast_events_received_total"] == sum(fates.values())
    assert fates['cascadecast_events_total{fate="dead-lettered"}'] == 0
    successes = [name for name in metrics if name.startswith("cascadecast_heartbeat_last_success_timestamp_seconds")]
    assert len(successes) == stream.partitions
    assert stream.messages("dead-letters") == []
    assert_same_forecasts(stream.forecasts(), expected)
    assert len(stream.forecasts()) == len(expected)
    there = engine.model_copy(
        update={"bootstrap_servers": server, "app_id": stream.app_id, "topic_prefix": stream.prefix}
    )
    verdicts = list(verify_state(there))
    assert [verdict.differences for verdict in verdicts] == [[]] * stream.partitions
    assert sum(verdict.equal for verdict in verdicts) == 30

    heartbeats = [one for one in stream.messages("events") if HEARTBEAT_HEADER in dict(one.headers() or [])]
    assert len(heartbeats) >= 16
    create_topics(server, declared_topics(3, 1, f"{stream.prefix}-wide"))
    wide = Stream(server, f"{stream.prefix}-wide", partitions=3)
    assert repartition(server, stream.prefix, wide.prefix).copied == sum(1 for _ in read_events(str(path)))
    assert not [one for one in wide.messages("events") if HEARTBEAT_HEADER in dict(one.headers() or [])]


@dataclass(frozen=True)
class Guarded(Listener):
    """A listener whose broker asks for rights."""

    def properties(self) -> list[str]:
        authorizer = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
        return [*super().properties(), f"authorizer.class.name={authorizer}", "super.users=User:broker;User:ANONYMOUS"]


def allow_all_but_writing(listener: Listener, server: str, topic: str) -> None:
    """Rights of alice."""
    admin = AdminClient(kafka_client_config(server, listener.for_clients()))

    def binding(kind: ResourceType, name: str, may: AclOperation, rule: AclPermissionType) -> AclBinding:
        return AclBinding(kind, name, ResourcePatternType.LITERAL, "User:alice", "*", may, rule)

    wanted = [
        binding(ResourceType.TOPIC, "*", AclOperation.ALL, AclPermissionType.ALLOW),
        binding(ResourceType.GROUP, "*", AclOperation.ALL, AclPermissionType.ALLOW),
        binding(ResourceType.TOPIC, topic, AclOperation.WRITE, AclPermissionType.DENY),
    ]
    for answer in admin.create_acls(wanted).values():
        answer.result(30)


def test_a_worker_that_may_only_read_the_events_does_without_heartbeats(
    kafka_jars: None, topic_prefix: str, tmp_path: Path
) -> None:
    listener = Guarded("SASL_PLAINTEXT", users={"broker": "its own", "alice": "open sesame"})
    own = {"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "KAFKA_USERNAME": "alice", "KAFKA_PASSWORD": "open sesame"}
    with EmbeddedBroker(listener=listener) as broker:
        server = broker.bootstrap_servers
        create_topics(server, declared_topics(1, 1, topic_prefix), security=listener.for_clients())
        allow_all_but_writing(listener, server, f"{topic_prefix}.events")
        stream = Stream(server, topic_prefix, {**OWN, **own}, partitions=1)
        producer = Producer(kafka_client_config(server, listener.for_clients()))
        for event in cascade_events("c", 1.7e9, [60.0 * n for n in range(1, 20)]):
            producer.produce(f"{topic_prefix}.events", msgspec.json.encode(event), b"c")
        producer.flush(30)
        with Worker(stream, tmp_path) as worker:
            refused = 'cascadecast_heartbeats_lost_total{reason="refused"}'
            worker._wait(lambda: worker.metrics().get(refused) == 1, 60, "refused")
            worker._wait(lambda: worker.metrics()["cascadecast_forecasts_made_total"] > 10, 60, "forecasting")
            assert worker.metrics()[refused] == 1, "it does not try again and again"
            assert "heartbeats are off" in worker.log_path.read_text()
            assert not [name for name in worker.metrics() if "heartbeat_last_success" in name]
            assert worker.terminate() == 0
