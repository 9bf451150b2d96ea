"""Models change under a worker that runs against a real Kafka."""

from __future__ import annotations

import json
import math
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forecasters.dataset import cases
from forecasters.mean import MeanForecaster
from forecasters.model_store import ModelStore
from graph import read_cascades, read_events, write_events
from graph.ordering import ordered
from graph.simulation import Simulation
from graph.simulator import simulated_events
from streams.broker import EmbeddedBroker
from streams.engine.forecast_file import forecast_events
from streams.engine.inference import load_service
from streams.replay.publishing import ReplayPlan, replay
from streams.settings import Settings
from tests.integration.harness import Stream, Worker, settle


@pytest.fixture(scope="module")
def events_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("events") / "events.jsonl.zst"
    write_events(path, ordered(simulated_events(Simulation(seed=9, hours=4.0, mean_size=30.0, lifetime_hours=6.0), 80)))
    return path


@pytest.fixture
def store(tmp_path: Path, events_file: Path) -> ModelStore:
    store = ModelStore(tmp_path / "models")
    model = MeanForecaster().fit(cases(list(read_cascades(str(events_file))), 1800.0, 86_400.0), [])
    for version in ("1", "2", "3"):
        model.means = np.asarray(model.means) + 1.0
        store.publish(model, version=version)
    return store


@pytest.fixture
def stream(kafka: EmbeddedBroker, topic_prefix: str, store: ModelStore) -> Stream:
    models = {"MODELS": "mean", "MODELS_DIR": str(store.root), "MODELS_POLL_SECONDS": "0.2"}
    return Stream(kafka.bootstrap_servers, topic_prefix, {"RETENTION_GRACE_SECONDS": "1e9", **models}).create()


def from_file(events_file: Path, store: ModelStore) -> dict[str, tuple[Any, ...]]:
    """Id -> what and by which version, as one process computes it."""
    settings = Settings(models=("mean",), models_dir=store.root, retention_grace_seconds=1e9)
    records = forecast_events(read_events(str(events_file)), settings, load_service(settings))
    return {record.id: (record.cascade, record.as_of, record.model_version) for record in records}


def test_a_promotion_during_a_replay_loses_nothing_and_restarts_nothing(
    stream: Stream, tmp_path: Path, events_file: Path, store: ModelStore
) -> None:
    due = {(cascade, as_of) for cascade, as_of, _ in from_file(events_file, store).values()}
    plan = ReplayPlan(str(events_file), stream.bootstrap_servers, stream.prefix, speed=5000.0, drain_seconds=3600.0)
    with Worker(stream, tmp_path) as worker:
        worker.wait_ready()
        playing = threading.Thread(target=replay, args=(plan,))
        playing.start()
        worker._wait(lambda: worker.metrics()["cascadecast_forecasts_made_total"] > 100, 60, "under way")
        store.promote("mean", "3", "challenger")
        store.promote("mean", "2")
        swapped = 'cascadecast_model_swaps_total{model="mean",role="champion"}'
        worker._wait(lambda: worker.metrics()[swapped] == 1, 30, "swapped")
        assert playing.is_alive(), "the swap must fall into the replay"
        playing.join()
        settle(stream, [worker])
        messages = stream.messages("forecasts")
        found = [(json.loads(message.value()), message.partition()) for message in messages]
        assert Counter((r["cascade"], r["as_of"]) for r, _ in found) == Counter(due), "each is made once"
        assert {record["model_version"] for record, _ in found} == {"1", "2"}
        for number in range(stream.partitions):
            times = {
                version: [r["as_of"] for r, at in found if at == number and r["model_version"] == version]
                for version in ("1", "2")
            }
            assert max(times["1"], default=-math.inf) <= min(times["2"], default=math.inf), "versions change once"
        apart = [json.loads(message.value()) for message in stream.messages("forecasts.challenger")]
        assert {record["model_version"] for record in apart} == {"3"}
        assert Counter((r["cascade"], r["as_of"]) for r in apart) <= Counter(due)
        metrics = worker.metrics()
        assert metrics['cascadecast_model_info{model="mean",role="champion",version="2"}'] == 1
        assert not any(value for name, value in metrics.items() if "load_failures_total" in name)
        assert worker.log_tail(10_000).count("ready  ") == 1, "the worker must not restart"


def test_a_promotion_from_an_event_time_is_kept_through_a_crash(
    stream: Stream, tmp_path: Path, events_file: Path, store: ModelStore
) -> None:
    times = sorted(event.time for event in read_events(str(events_file)))
    store.promote("mean", "2", since=times[len(times) // 2])
    expected = from_file(events_file, store)
    assert {version for _, _, version in expected.values()} == {"1", "2"}
    stream.settings |= {"BATCH_MAX_EVENTS": "100", "MAX_BACKLOG": "100"}
    with Worker(stream, tmp_path) as worker:
        worker.wait_ready()
        replay(ReplayPlan(str(events_file), stream.bootstrap_servers, stream.prefix, drain_seconds=3600.0))
        worker._wait(lambda: worker.metrics()["cascadecast_forecasts_made_total"] > 100, 60, "under way")
        worker.kill()
        worker.start()
        settle(stream, [worker])
    found = {
        record["id"]: (record["cascade"], record["as_of"], record["model_version"]) for record in stream.forecasts()
    }
    assert found == expected
