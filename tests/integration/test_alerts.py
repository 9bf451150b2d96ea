"""Alerts against a real Kafka: a worker tells what a run over the file tells, and follows its file of rules."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from forecasters.alerting.ranker_training import RankerPlan, train_ranker
from forecasters.model_store import ModelStore
from graph import Cascade, read_events, write_events
from graph.ordering import ordered
from graph.simulation import Simulation
from graph.simulator import simulated_events
from streams.alerts.records import AlertRecord
from streams.alerts.rule_file import load_rules
from streams.broker import EmbeddedBroker
from streams.engine.forecast_file import forecast_events
from streams.engine.inference import load_service
from streams.replay.publishing import ReplayPlan, replay
from streams.settings import Settings
from tests.integration.harness import PARTITIONS, Stream, Worker, settle

RULES = """
cap_per_hour = 100
[[rule]]
name = "large"
expected = 40
[[rule]]
name = "likely"
probability = 0.5
reaches = 60
update_factor = 1.2
cool_down = "20m"
[[rule]]
name = "ranked"
top_probability = 0.3
ends_in_top = 0.1
"""


def alerts_of(stream: Stream) -> list[dict[str, Any]]:
    return [json.loads(message.value() or b"") for message in stream.messages("alerts")]


def ends_without_a_rule(stream: Stream) -> list[dict[str, Any]]:
    return [record for record in alerts_of(stream) if record["reason"] == "rule removed"]


def stored_ranker(directory: Path) -> Path:
    """A store with a ranker that has learned from other posts of the same kind."""
    posts: dict[str, Cascade] = {}
    for event in simulated_events(Simulation(seed=6, hours=4.0, mean_size=30.0, lifetime_hours=5.0), 120):
        posts.setdefault(event.cascade, Cascade(event.cascade)).apply(event)
    train_ranker(list(posts.values()), RankerPlan(86_400.0, (0.1,), "none"), ModelStore(directory), files=())
    return directory


@pytest.mark.timeout(300)
def test_a_worker_tells_what_a_file_run_tells_and_follows_its_rules(
    kafka: EmbeddedBroker, topic_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = stored_ranker(tmp_path / "models")
    monkeypatch.setenv("CASCADECAST_MODELS_DIR", str(models))
    path, rules = tmp_path / "events.jsonl", tmp_path / "rules.toml"
    write_events(path, ordered(simulated_events(Simulation(seed=5, hours=4.0, mean_size=30.0, lifetime_hours=5.0), 60)))
    rules.write_text(RULES)
    settings = Settings(models=("hawkes",), partitions=PARTITIONS)
    expected: list[AlertRecord] = []
    events = read_events(str(path))
    run = forecast_events(events, settings, load_service(settings), rules=load_rules(rules), on_alert=expected.append)
    assert sum(1 for _ in run) > 300
    own = {"MODELS": "hawkes", "ALERT_RULES": str(rules), "ALERT_RULES_POLL_SECONDS": "0.2", "MODELS_DIR": str(models)}
    stream = Stream(kafka.bootstrap_servers, topic_prefix, own).create()
    with Worker(stream, tmp_path) as worker:
        replay(ReplayPlan(str(path), stream.bootstrap_servers, stream.prefix, drain_seconds=3600.0))
        settle(stream, [worker])
        told = alerts_of(stream)
        assert len(told) == len(expected) > 10
        assert {record["id"]: record["reason"] for record in told} == {one.id: one.reason for one in expected}
        assert sum(record["rule"] == "ranked" for record in told) > 2, "with the library's own probabilities"
        assert msgspec.convert(told[0], AlertRecord)
        rules.write_text(RULES.replace("expected = 40", "expcted = 40"))
        failures = "cascadecast_alert_rules_reload_failures_total"
        worker._wait(lambda: worker.metrics()[failures] == 1.0, 30.0, "refused the rules")
        rules.write_text(RULES.replace('name = "large"', 'name = "larger"'))
        opened = sum((r["rule"], r["state"]) == ("large", "opened") for r in told)
        ended = sum((r["rule"], r["state"]) == ("large", "resolved") for r in told)
        assert opened > ended
        deadline = time.monotonic() + 30.0
        while len(later := ends_without_a_rule(stream)) < opened - ended and time.monotonic() < deadline:
            time.sleep(0.2)
        assert {record["rule"] for record in later} == {"large"}
        assert len(later) == opened - ended
        assert len(alerts_of(stream)) == len(told) + len(later)
        assert worker.terminate() == 0
