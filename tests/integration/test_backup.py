"""What the runbook says of backups: a copied changelog goes on in another installation as if nothing had been."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
from confluent_kafka import Producer

from graph import read_events, write_events
from graph.ordering import ordered
from graph.simulation import Simulation
from graph.simulator import simulated_events
from streams.broker import EmbeddedBroker
from streams.engine.forecast_file import forecast_events
from streams.engine.inference import load_service
from streams.kafka.topics import TopicSpec, create_topics
from streams.replay.publishing import ReplayPlan, replay
from streams.settings import Settings
from streams.state.changelog import changelog_reader, changelog_topic
from tests.integration.harness import PARTITIONS, Stream, Worker, settle
from tests.integration.test_worker import assert_same_forecasts, state, truth

RETAIN = {"RETENTION_GRACE_SECONDS": "1e9"}


def copy_changelog(server: str, old: Stream, new: Stream) -> int:
    """As a mirror copies it: records as they are, partition by partition, under other offsets."""
    topic = changelog_topic(new.app_id)
    create_topics(server, [TopicSpec(topic, PARTITIONS, {"cleanup.policy": "compact"}, "a copy", 1)])
    producer = Producer({"bootstrap.servers": server})
    copied = 0
    with changelog_reader(Settings(bootstrap_servers=server, app_id=old.app_id)) as reader:
        for number in reader.partitions():
            for message in list(reader.records(reader.topic, number)):
                producer.produce(topic, message.value(), message.key(), number)
                copied += 1
    producer.flush(30)
    return copied


def test_the_state_goes_on_from_a_copied_changelog_with_a_new_events_topic(
    kafka: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    whole, early, late = tmp_path / "whole.jsonl", tmp_path / "early.jsonl", tmp_path / "late.jsonl"
    events = list(ordered(simulated_events(Simulation(seed=6, hours=4.0, mean_size=20.0, lifetime_hours=12.0), 60)))
    cut = 2 * len(events) // 3
    for path, part in ((whole, events), (early, events[:cut]), (late, events[cut:])):
        write_events(path, part)
    engine = Settings(models=("seismic", "hawkes"), retention_grace_seconds=1e9, partitions=PARTITIONS)
    expected = {
        record.id: json.loads(msgspec.json.encode(record))
        for record in forecast_events(read_events(str(whole)), engine, load_service(engine))
    }
    server = kafka.bootstrap_servers
    old = Stream(server, topic_prefix, dict(RETAIN)).create()
    new = Stream(server, f"{topic_prefix}-spare", dict(RETAIN)).create()
    with Worker(old, tmp_path, "old") as worker:
        replay(ReplayPlan(str(early), server, old.prefix, drain_seconds=0))
        settle(old, [worker])
        assert worker.terminate() == 0
    assert copy_changelog(server, old, new) > PARTITIONS
    with Worker(new, tmp_path, "new") as worker:
        worker.wait_ready()
        assert state(new) == truth(early)
        replay(ReplayPlan(str(late), server, new.prefix))
        settle(new, [worker])
        assert_same_forecasts(old.forecasts() + new.forecasts(), expected)
        assert state(new) == truth(whole)
        assert "another than that of the state" in worker.log_path.read_text()
