"""The whole path against a real Kafka: what workers publish is what one process computes from the file."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Producer

from graph import Event, Kind, read_events, write_events
from graph.ordering import ordered
from graph.simulation import Simulation
from graph.simulator import simulated_events
from streams.broker import EmbeddedBroker
from streams.engine.forecast_file import forecast_events
from streams.engine.inference import load_service
from streams.replay.publishing import ReplayPlan, replay
from streams.settings import Settings
from streams.state.export import export_state
from tests.integration.garbage import GARBAGE
from tests.integration.harness import PARTITIONS, Stream, Worker, settle
from tests.integration.single_pass import Totals, lines, totals

RETAIN = {"RETENTION_GRACE_SECONDS": "1e9"}
"""Nothing leaves memory, so that final states can be compared."""


@pytest.fixture(scope="module")
def events_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("events") / "events.jsonl.zst"
    simulation = Simulation(seed=7, hours=6.0, mean_size=30.0, lifetime_hours=30.0)
    write_events(path, ordered(simulated_events(simulation, 120)))
    return path


@pytest.fixture(scope="module")
def expected(events_file: Path) -> dict[str, dict[str, Any]]:
    settings = Settings(models=("seismic", "hawkes"), retention_grace_seconds=1e9, partitions=PARTITIONS)
    records = forecast_events(read_events(str(events_file)), settings, load_service(settings))
    return {record.id: json.loads(msgspec.json.encode(record)) for record in records}


@pytest.fixture
def stream(kafka: EmbeddedBroker, topic_prefix: str) -> Stream:
    return Stream(kafka.bootstrap_servers, topic_prefix, dict(RETAIN)).create()


def publish(stream: Stream, path: Path, drain_seconds: float = 3600.0) -> None:
    replay(ReplayPlan(str(path), stream.bootstrap_servers, stream.prefix, drain_seconds=drain_seconds))


def assert_same_forecasts(found: list[dict[str, Any]], expected: dict[str, dict[str, Any]]) -> None:
    """The same ids; of each id one content only; counts and times exactly, numbers to 1e-4."""
    assert {record["id"] for record in found} == set(expected)
    for record in found:
        wanted = expected[record["id"]]
        for name, value in record.items():
            if name in ("expected", "low", "high", "growth_per_hour"):
                assert math.isclose(value, wanted[name], rel_tol=1e-4, abs_tol=1e-6), (name, record, wanted)
            elif name == "trajectory":
                for (age, size), (wanted_age, wanted_size) in zip(value, wanted[name], strict=True):
                    assert age == wanted_age
                    assert math.isclose(size, wanted_size, rel_tol=1e-4)
            else:
                assert value == wanted[name], (name, record, wanted)


def state(stream: Stream) -> Totals:
    settings = Settings(bootstrap_servers=stream.bootstrap_servers, app_id=stream.app_id, retention_grace_seconds=1e9)
    return {found.cascade: (found.size, found.depth, found.users) for found in export_state(settings)}


def truth(path: Path) -> Totals:
    return totals(json.loads(line) for line in lines(path))


def add_up(workers: list[Worker], records: int) -> None:
    metrics = Counter[str]()
    for worker in workers:
        metrics.update(worker.metrics())

    def total(name: str) -> float:
        return sum(value for key, value in metrics.items() if key.split("{")[0] == f"cascadecast_{name}_total")

    assert total("events_received") == total("events") == records
    assert total("forecasts_due") == total("forecasts_made") + total("forecasts_skipped")
    assert total("forecasts_published") + total("forecasts_failed") == 2 * total("forecasts_made")


def test_one_worker_publishes_what_a_file_run_computes(
    stream: Stream, tmp_path: Path, events_file: Path, expected: dict[str, dict[str, Any]]
) -> None:
    with Worker(stream, tmp_path) as worker:
        publish(stream, events_file)
        settle(stream, [worker])
        found = stream.forecasts()
        assert len(found) == len(expected), "each forecast is published once"
        assert_same_forecasts(found, expected)
        assert state(stream) == truth(events_file)
        assert stream.messages("dead-letters") == []
        add_up([worker], sum(1 for _ in lines(events_file)) + stream.partitions)
        assert worker.get("/healthz")[0] == 200
        assert json.loads(worker.get("/readyz")[1])["partitions"] == [0, 1, 2, 3]
        assert worker.terminate() == 0


def test_two_workers_share_the_partitions_and_change_nothing(
    stream: Stream, tmp_path: Path, events_file: Path, expected: dict[str, dict[str, Any]]
) -> None:
    with Worker(stream, tmp_path, "one") as one, Worker(stream, tmp_path, "two") as two:
        for worker in (one, two):
            worker._wait(
                lambda worker=worker: len(json.loads(worker.get("/readyz")[1])["partitions"]) == 2, 60, "sharing"
            )
        publish(stream, events_file)
        settle(stream, [one, two])
        assert_same_forecasts(stream.forecasts(), expected)
        assert state(stream) == truth(events_file)
        add_up([one, two], sum(1 for _ in lines(events_file)) + stream.partitions)
        for worker in (one, two):
            assert worker.metrics()["cascadecast_forecasts_made_total"] > 0
        assert_either_answers_for_all(one, two)


def assert_either_answers_for_all(one: Worker, two: Worker) -> None:
    lists = [json.loads(worker.get("/api/v1/cascades?top=100")[1]) for worker in (one, two)]
    assert lists[0] == lists[1]
    assert lists[0]["workers"] == lists[0]["workers_answering"] == 2
    for post in lists[0]["cascades"][:10]:
        (status, first), (_, second) = (worker.get(f"/api/v1/cascades/{post['cascade']}") for worker in (one, two))
        assert (status, first) == (200, second)
        assert {forecast["model"] for forecast in json.loads(first)["forecasts"]} == {"seismic", "hawkes"}
        assert json.loads(first)["observed"] == post["observed"]


@pytest.mark.parametrize("batched", ["true", "false"])
def test_a_killed_worker_goes_on_as_if_nothing_had_happened(
    stream: Stream, tmp_path: Path, events_file: Path, expected: dict[str, dict[str, Any]], batched: str
) -> None:
    stream.settings |= {"BATCH_MAX_EVENTS": "100", "MAX_BACKLOG": "100", "BATCHED_DELIVERY": batched}
    with Worker(stream, tmp_path) as worker:
        worker.wait_ready()
        publish(stream, events_file)
        worker._wait(lambda: worker.metrics()["cascadecast_forecasts_made_total"] > 300, 60, "under way")
        worker.kill()
        assert not all(committed == end for committed, end in stream.progress()), (
            "the worker must be killed in the middle of the stream"
        )
        worker.start()
        settle(stream, [worker])
        assert_same_forecasts(stream.forecasts(), expected)
        assert state(stream) == truth(events_file)


def test_a_source_a_year_ahead_changes_nobody_elses_forecast_across_a_crash(
    stream: Stream, tmp_path: Path, events_file: Path, expected: dict[str, dict[str, Any]]
) -> None:
    """One record in twenty has a wrong clock, the last of all too; replayed as it stands, with the mark at its end."""
    stream.settings |= {"BATCH_MAX_EVENTS": "100", "MAX_BACKLOG": "100"}
    mixed: list[Event] = []
    for number, event in enumerate(read_events(str(events_file))):
        mixed.append(event)
        if number % 20 == 19:
            name = f"wrong{number % 50}"
            mixed.append(Event(f"{name}-{number}", name, Kind.REPOST, event.time + 365 * 86_400.0, "w", name))
    poisoned = tmp_path / "poisoned.jsonl"
    write_events(poisoned, [*mixed, msgspec.structs.replace(mixed[19], id="last", time=mixed[-1].time + 4e8)])
    with Worker(stream, tmp_path) as worker:
        worker.wait_ready()
        replay(ReplayPlan(str(poisoned), stream.bootstrap_servers, stream.prefix, raw=True))
        worker._wait(lambda: worker.metrics()["cascadecast_forecasts_made_total"] > 300, 60, "under way")
        worker.kill()
        worker.start()
        settle(stream, [worker])
        found = [record for record in stream.forecasts() if not record["cascade"].startswith("wrong")]
        assert_same_forecasts(found, expected)
        assert worker.metrics()["cascadecast_events_ahead_of_clock_total"] > 0


def test_state_comes_back_from_kafka_alone(stream: Stream, tmp_path: Path, events_file: Path) -> None:
    """A worker on a new machine has only the changelog; after a clean stop it repeats no forecast."""
    with Worker(stream, tmp_path) as worker:
        publish(stream, events_file)
        settle(stream, [worker])
        assert worker.terminate() == 0
        made = len(stream.forecasts())
        live = state(stream)
        shutil.rmtree(worker.data_dir)
        worker.start()
        worker.wait_ready()
        found = worker.metrics()
        assert sum(v for k, v in found.items() if k.startswith("cascadecast_live_cascades{")) == len(live)
        time.sleep(1.0)
        assert len(stream.forecasts()) == made
        assert state(stream) == live


def test_garbage_lands_in_dead_letters_with_its_reason_and_harms_nothing(
    stream: Stream, tmp_path: Path, events_file: Path, expected: dict[str, dict[str, Any]]
) -> None:
    producer = Producer(
        {
            "bootstrap.servers": stream.bootstrap_servers,
            "partitioner": "murmur2_random",
            "message.max.bytes": 1_000_000,
            "enable.idempotence": True,  # a retry must not change the order
        }
    )
    sent = Counter[tuple[str, bytes]]()
    for number, event in enumerate(read_events(str(events_file))):
        producer.produce(f"{stream.prefix}.events", msgspec.json.encode(_only_set(event)), event.cascade.encode())
        if number % 50 == 0:
            reason, value = GARBAGE[number // 50 % len(GARBAGE)]
            producer.produce(f"{stream.prefix}.events", value, b"some key")
            sent[reason, value] += 1
        producer.poll(0)
    producer.flush()
    with Worker(stream, tmp_path) as worker:
        settle(stream, [worker])
        letters = stream.messages("dead-letters")
        found = Counter((dict(letter.headers())["error-kind"].decode(), letter.value()) for letter in letters)
        assert found == sent
        places = {(dict(m.headers())["source-partition"], dict(m.headers())["source-offset"]) for m in letters}
        assert len(places) == len(letters)
        assert state(stream) == truth(events_file)
        published = {record["id"] for record in stream.forecasts()}
        assert published <= set(expected)
        assert worker.metrics()['cascadecast_events_total{fate="dead-lettered"}'] == sent.total()
        assert "partition recovered" in worker.log_tail(10_000)
        assert worker.log_tail(10_000).count("ready  ") == 1, "the worker must not restart"


def _only_set(event: Event) -> dict[str, Any]:
    return {name: value for name, value in msgspec.to_builtins(event).items() if value is not None}


def test_topics_that_do_not_exist_are_one_clear_error(kafka: EmbeddedBroker, tmp_path: Path) -> None:
    worker = Worker(Stream(kafka.bootstrap_servers, "absent"), tmp_path).start()
    assert worker.process is not None
    assert worker.process.wait(60) == 2
    log = worker.log_path.read_text().splitlines()
    assert len(log) == 1
    assert "absent.events" in log[0]
    assert "cascadecast topics create" in log[0]
