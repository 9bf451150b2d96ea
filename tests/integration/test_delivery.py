"""What is promised of the outputs, against a real Kafka and workers that are killed."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import faust
import msgspec
import pytest
from aiokafka.errors import MessageSizeTooLargeError
from confluent_kafka import Producer

from graph import read_events, write_events
from graph.ordering import ordered
from graph.simulation import Simulation
from graph.simulator import simulated_events
from streams.broker import EmbeddedBroker
from streams.engine.forecast_file import forecast_events
from streams.engine.inference import load_service
from streams.kafka.groups import committed_reader
from streams.kafka.topics import TopicSpec, create_topics
from streams.settings import Settings
from streams.state.changelog import changelog_topic
from streams.state.distrust import Distrust
from streams.worker.faust_clients import transactional_producers
from streams.worker.faust_internals import TableSegmentStore
from streams.worker.outputs import Output, SupersededError, TransactionalOutputs
from streams.worker.progress import OutputKey, OutputKind
from tests.integration.harness import PARTITIONS, Stream, Worker, settle

ENGINE = {"models": ("seismic",), "retention_grace_seconds": 1e9, "horizon_seconds": 7200.0, "partitions": PARTITIONS}
SETTINGS = {"MODELS": "seismic", "RETENTION_GRACE_SECONDS": "1e9", "HORIZON_SECONDS": "7200"}


@pytest.fixture(scope="module")
def events_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("events") / "events.jsonl.zst"
    simulation = Simulation(seed=9, hours=6.0, mean_size=25.0, lifetime_hours=4.0)
    write_events(path, ordered(simulated_events(simulation, 120)))
    return path


@pytest.fixture(scope="module")
def expected(events_file: Path) -> tuple[set[str], set[str]]:
    """Ids of the forecasts and of the scores of one undisturbed pass."""
    settings = Settings(**ENGINE)
    scores: list[Any] = []
    records = forecast_events(read_events(str(events_file)), settings, load_service(settings), on_score=scores.append)
    return {record.id for record in records}, {score.id for score in scores}


def publish_with_garbage(stream: Stream, path: Path, every: int = 40) -> int:
    """Every event, and after each so many a record that is none; returns how many of these."""
    producer = Producer(
        {
            "bootstrap.servers": stream.bootstrap_servers,
            "partitioner": "murmur2_random",
            "enable.idempotence": True,
        }
    )
    topic, garbage, last = f"{stream.prefix}.events", 0, 0.0
    for number, event in enumerate(read_events(str(path))):
        value = {name: field for name, field in msgspec.to_builtins(event).items() if field is not None}
        producer.produce(topic, msgspec.json.encode(value), event.cascade.encode())
        last = event.time
        if number % every == 0:
            producer.produce(topic, b"garbage %d" % number, event.cascade.encode())
            garbage += 1
        producer.poll(0)
    for partition in range(stream.partitions):
        header = [("cascadecast-watermark", str(last + 4 * 3600).encode())]
        producer.produce(topic, b"", None, partition, headers=header)
    producer.flush()
    return garbage


def ids(stream: Stream, topic: str) -> Counter[str]:
    return Counter(json.loads(message.value())["id"] for message in stream.messages(topic))


def test_with_exactly_once_nothing_is_published_twice_when_a_worker_is_killed(
    kafka: EmbeddedBroker, topic_prefix: str, tmp_path: Path, events_file: Path, expected: tuple[set[str], set[str]]
) -> None:
    """A worker is killed at work: consumers of committed records see each forecast, score and dead letter once."""
    own = {"PROCESSING_GUARANTEE": "exactly_once", "BATCH_MAX_EVENTS": "100", "INFERENCE_BATCH": "16"}
    stream = Stream(kafka.bootstrap_servers, topic_prefix, SETTINGS | own).create()
    garbage = publish_with_garbage(stream, events_file)
    with Worker(stream, tmp_path) as worker:
        worker._wait(lambda: worker.metrics()["cascadecast_forecasts_made_total"] >= 100, 60, "at work")
        worker.kill()
        worker.start()
        settle(stream, [worker], 120)
        forecasts, scores = expected
        assert ids(stream, "forecasts") == Counter(forecasts)
        assert ids(stream, "scores") == Counter(scores)
        assert len(scores) > 50
        letters = Counter(message.value() for message in stream.messages("dead-letters"))
        assert letters.total() == len(letters) == garbage


def forecast(at: float, text: bytes) -> Output:
    return Output("forecasts", (b"c", text, []), OutputKey(OutputKind.FORECAST, at, "c"))


async def test_the_next_owner_fences_the_former_and_knows_what_it_published(
    kafka: EmbeddedBroker, topic_prefix: str
) -> None:
    stream = Stream(kafka.bootstrap_servers, topic_prefix).create()
    settings = Settings(bootstrap_servers=kafka.bootstrap_servers, topic_prefix=topic_prefix, app_id=stream.app_id)
    former, following = (
        TransactionalOutputs(
            transactional_producers(settings), committed_reader(settings), settings.app_id, settings.topic_prefix
        )
        for _ in range(2)
    )
    try:
        await former.take_over(2)
        assert len(await former.publish(2, [forecast(1.0, b"1"), forecast(2.0, b"2")], 1.5)) == 2
        await following.take_over(2)
        with pytest.raises(SupersededError):
            await former.publish(2, [forecast(3.0, b"a ghost's")], 3.5)
        out = await following.publish(2, [forecast(n, str(int(n)).encode()) for n in (1.0, 2.0, 3.0)], 3.5)
        assert [output.message[1] for output in out] == [b"3"]
    finally:
        await former.release(2)
        await following.release(2)
    assert sorted(message.value() for message in stream.messages("forecasts")) == [b"1", b"2", b"3"]


async def test_a_changelog_that_refuses_a_segment_is_told_of(
    kafka: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """Faust's own way of sending to a changelog would wait for ever."""
    settings = Settings(bootstrap_servers=kafka.bootstrap_servers, app_id=topic_prefix)
    app = faust.App(topic_prefix, broker=f"kafka://{kafka.bootstrap_servers}", store="memory://", web_enabled=False)
    table = app.Table("segments", key_type=bytes, value_type=bytes, partitions=1)
    changelog = TopicSpec(changelog_topic(settings.app_id), 1, {"max.message.bytes": "1000"}, "small on purpose")
    create_topics(kafka.bootstrap_servers, [changelog])
    await app.producer.start()
    try:
        store = TableSegmentStore(table, 0, Distrust(tmp_path))
        with pytest.raises(MessageSizeTooLargeError):
            await store._send(b"key", os.urandom(5000))
    finally:
        await app.producer.stop()
