"""More partitions: the copied stream makes the same forecasts in the second installation as it would from a file."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Producer

from graph import read_events, write_events
from graph.ordering import ordered
from graph.simulation import Simulation
from graph.simulator import simulated_events
from streams.broker import EmbeddedBroker
from streams.engine.forecast_file import forecast_events
from streams.engine.inference import load_service
from streams.kafka.topics import TopicsError
from streams.replay.publishing import ReplayPlan, replay
from streams.replay.repartition import RepartitionError, repartition
from streams.settings import Settings
from streams.state.export import export_state
from tests.integration.harness import Stream, Worker, settle
from tests.integration.single_pass import lines, totals
from tests.integration.test_worker import assert_same_forecasts

RETAIN = {"RETENTION_GRACE_SECONDS": "1e9"}


@pytest.fixture(scope="module")
def events_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("events") / "events.jsonl"
    simulation = Simulation(seed=3, hours=4.0, mean_size=20.0, lifetime_hours=12.0)
    write_events(path, ordered(simulated_events(simulation, 60)))
    return path


def test_a_second_installation_with_more_partitions_takes_over(
    kafka: EmbeddedBroker, topic_prefix: str, tmp_path: Path, events_file: Path
) -> None:
    server = kafka.bootstrap_servers
    narrow = Stream(server, topic_prefix, dict(RETAIN), partitions=2).create()
    wide = Stream(server, f"{topic_prefix}-wide", dict(RETAIN), partitions=3).create()
    replay(ReplayPlan(str(events_file), server, narrow.prefix))
    producer = Producer({"bootstrap.servers": server})
    producer.produce(f"{narrow.prefix}.events", b"no event", b"key")
    producer.produce(f"{narrow.prefix}.events", next(lines(events_file)).strip().encode(), b"wrong key")
    producer.flush(30)
    records = sum(1 for _ in lines(events_file))

    stop = threading.Event()
    first = repartition(server, narrow.prefix, wide.prefix, stop=stop, progress=lambda copied, left: stop.set())
    second = repartition(server, narrow.prefix, wide.prefix)
    assert first.copied + second.copied == records + 2, "it goes on where it was told to stop"
    assert (first.no_events + second.no_events, first.rekeyed + second.rekeyed) == (1, 1)
    assert repartition(server, narrow.prefix, wide.prefix).copied == 0

    settings = Settings(models=("seismic", "hawkes"), retention_grace_seconds=1e9, partitions=3)
    expected = {
        record.id: json.loads(msgspec.json.encode(record))
        for record in forecast_events(read_events(str(events_file)), settings, load_service(settings))
    }
    with Worker(wide, tmp_path) as worker:
        settle(wide, [worker])
        assert_same_forecasts(wide.forecasts(), expected)
        assert len(wide.messages("dead-letters")) == 1
        own = settings.model_copy(update={"bootstrap_servers": server, "app_id": wide.app_id})
        found = {one.cascade: (one.size, one.depth, one.users) for one in export_state(own)}
        assert found == totals(json.loads(line) for line in lines(events_file))


def test_a_copy_that_follows_goes_on_until_it_is_told(
    kafka: EmbeddedBroker, topic_prefix: str, events_file: Path
) -> None:
    server = kafka.bootstrap_servers
    narrow = Stream(server, topic_prefix, partitions=2).create()
    wide = Stream(server, f"{topic_prefix}-wide", partitions=3).create()
    stop = threading.Event()
    copied = []
    follower = threading.Thread(
        target=lambda: copied.append(repartition(server, narrow.prefix, wide.prefix, follow=True, stop=stop).copied)
    )
    follower.start()
    replay(ReplayPlan(str(events_file), server, narrow.prefix, drain_seconds=0))
    records = sum(1 for _ in lines(events_file))
    deadline = threading.Event()
    for _ in range(600):
        if len(wide.messages("events")) >= records:
            break
        deadline.wait(0.1)
    stop.set()
    follower.join(60)
    assert copied == [records]


def test_what_cannot_be_meant_is_refused(kafka: EmbeddedBroker, topic_prefix: str) -> None:
    with pytest.raises(RepartitionError, match="--to-prefix"):
        repartition(kafka.bootstrap_servers, topic_prefix, topic_prefix)
    with pytest.raises(TopicsError, match="does not exist"):
        repartition(kafka.bootstrap_servers, topic_prefix, "other")
