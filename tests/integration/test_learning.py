"""Scores and what is learned from them against a real Kafka: one worker, two with one killed, and a file run agree."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

from forecasters.blend import BlendForecaster
from forecasters.dataset import rolling_cases
from forecasters.model_store import ModelStore
from graph import read_events, write_events
from graph.event_files import read_cascades
from graph.ordering import ordered
from graph.simulation import Simulation
from graph.simulator import simulated_events
from streams.broker import EmbeddedBroker
from streams.engine.forecast_file import forecast_events
from streams.engine.inference import load_service
from streams.replay.publishing import ReplayPlan, replay
from streams.scoring.scores import ScoreRecord
from streams.scoring.sources import recorded_in_kafka
from streams.scoring.verification import verify_scores
from streams.settings import Settings
from tests.integration.harness import PARTITIONS, Stream, Worker, settle
from tests.integration.test_worker import assert_same_forecasts

HORIZON = 7200.0
LEARNING: dict[str, Any] = {
    "models": ("blend", "hawkes"),
    "horizon_seconds": HORIZON,
    "learn_every_seconds": 900.0,
    "score_ages_seconds": (300.0, 1200.0, 3600.0),
}
"""Cascades mature within hours, so that a stream of a day learns from most of itself."""


@pytest.fixture(scope="module")
def events_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("events") / "events.jsonl.zst"
    simulation = Simulation(seed=11, hours=18.0, mean_size=30.0, lifetime_hours=6.0)
    write_events(path, ordered(simulated_events(simulation, 200)))
    return path


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, events_file: Path) -> ModelStore:
    """A blend of the two shipped training-free models, weighted by other cascades than those of the stream."""
    store = ModelStore(tmp_path_factory.mktemp("models"))
    other = events_file.with_name("other.jsonl")
    write_events(other, simulated_events(Simulation(seed=12, mean_size=30.0), 60))
    cases = rolling_cases(list(read_cascades(str(other))), HORIZON, per_cascade=3)
    store.publish(BlendForecaster.of_stored(["hawkes", "seismic"]).fit([], cases))
    return store


@pytest.fixture(scope="module")
def expected(events_file: Path, store: ModelStore) -> tuple[dict[str, Any], dict[str, Any]]:
    """Forecasts and scores by id, as one process computes them from the file."""
    settings = Settings(**LEARNING, models_dir=store.root, partitions=PARTITIONS)
    scores: list[ScoreRecord] = []
    run = forecast_events(read_events(str(events_file)), settings, load_service(settings), on_score=scores.append)
    forecasts = {record.id: json.loads(msgspec.json.encode(record)) for record in run}
    assert len(scores) > 300
    return forecasts, {score.id: json.loads(msgspec.json.encode(score)) for score in scores}


@pytest.fixture
def stream(kafka: EmbeddedBroker, topic_prefix: str, store: ModelStore) -> Stream:
    own = {
        "MODELS": "blend,hawkes", "MODELS_DIR": str(store.root), "HORIZON_SECONDS": f"{HORIZON:g}",
        "LEARN_EVERY_SECONDS": "900", "SCORE_AGES_SECONDS": "300,1200,3600",
    }  # fmt: skip
    return Stream(kafka.bootstrap_servers, topic_prefix, own).create()


NUMBERS = {"expected", "low", "high", "squared_log_error", "log_error", "absolute_percentage_error"}


def assert_same_scores(stream: Stream, expected: dict[str, Any]) -> int:
    """The same scores, each with one content; returns how many were published twice."""
    found = [json.loads(message.value()) for message in stream.messages("scores")]
    assert {record["id"] for record in found} == set(expected)
    for record in found:
        wanted = expected[record["id"]]
        for name, value in record.items():
            if name in NUMBERS:
                assert math.isclose(value, wanted[name], rel_tol=1e-4, abs_tol=1e-4), (name, record, wanted)
            else:
                assert value == wanted[name], (name, record, wanted)
    return len(found) - len(expected)


def assert_scores_follow_from_events(stream: Stream) -> None:
    """By another path, from what lies in Kafka alone."""
    settings = Settings(
        **LEARNING, bootstrap_servers=stream.bootstrap_servers, topic_prefix=stream.prefix, app_id=stream.app_id
    )
    verdict = verify_scores(recorded_in_kafka(settings), settings)
    assert verdict.is_equal, (verdict.differing, verdict.missing, verdict.extra)
    assert verdict.equal == verdict.scores > 300
    assert verdict.largest_difference < 1e-9


def publish(stream: Stream, path: Path) -> None:
    replay(ReplayPlan(str(path), stream.bootstrap_servers, stream.prefix, drain_seconds=3600.0))


def test_what_is_learned_changes_forecasts(events_file: Path, store: ModelStore, expected: Any) -> None:
    """Else the other tests of this file would hold nothing."""
    settings = Settings(**LEARNING, models_dir=store.root, learn=False)
    alone = {r.id: r for r in forecast_events(read_events(str(events_file)), settings, load_service(settings))}
    changed = [i for i, record in expected[0].items() if record["high"] != alone[i].high]
    assert len(changed) > len(alone) / 4


def test_one_worker_learns_what_a_file_run_learns(
    stream: Stream, tmp_path: Path, events_file: Path, expected: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    with Worker(stream, tmp_path) as worker:
        publish(stream, events_file)
        settle(stream, [worker])
        assert_same_forecasts(stream.forecasts(), expected[0])
        assert assert_same_scores(stream, expected[1]) == 0, "each score is published once"
        found = worker.metrics()
        scored = sum(value for name, value in found.items() if name.startswith("cascadecast_scores_total"))
        assert scored == len(expected[1])
        assert_scores_follow_from_events(stream)
        shown = {name: value for name, value in found.items() if name.startswith("cascadecast_score_")}
        assert worker.terminate() == 0
        worker.start()
        worker.wait_ready()
        again = {name: value for name, value in worker.metrics().items() if name.startswith("cascadecast_score_")}
        assert again == shown, "after a restart the figures are those of the durable state"


def test_two_workers_of_which_one_is_killed_learn_the_same(
    stream: Stream, tmp_path: Path, events_file: Path, expected: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    stream.settings |= {"BATCH_MAX_EVENTS": "100", "MAX_BACKLOG": "100"}
    with Worker(stream, tmp_path, "one") as one, Worker(stream, tmp_path, "two") as two:
        for worker in (one, two):
            worker.wait_ready()
        publish(stream, events_file)
        victim = random.Random(1).choice([one, two])
        victim._wait(lambda: victim.metrics()["cascadecast_forecasts_made_total"] > 200, 60, "under way")
        victim.kill()
        assert not all(committed == end for committed, end in stream.progress()), (
            "the worker must be killed in the middle of the stream"
        )
        victim.start()
        settle(stream, [one, two], 120)
        assert_same_forecasts(stream.forecasts(), expected[0])
        assert_same_scores(stream, expected[1])
        assert_scores_follow_from_events(stream)
