"""Kafka goes away and comes back: a worker goes on, or ends to be restarted; it never hangs, and nothing is lost."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path

from graph import read_events, write_events
from graph.ordering import ordered
from graph.simulation import Simulation
from graph.simulator import simulated_events
from streams.app import EXIT_FAULT
from streams.broker import EmbeddedBroker
from streams.engine.forecast_file import forecast_events
from streams.engine.inference import load_service
from streams.replay.publishing import ReplayPlan, replay
from streams.settings import Settings
from tests.integration.harness import PARTITIONS, Stream, Worker, settle

SHORT_SECONDS = 6.0


def test_a_kafka_that_comes_back_is_gone_on_with_and_one_that_stays_away_ends_the_worker(
    kafka_jars: None, tmp_path: Path
) -> None:
    events = ordered(simulated_events(Simulation(seed=3, hours=4.0, mean_size=25.0, lifetime_hours=30.0), 100))
    path = tmp_path / "events.jsonl"
    write_events(path, events)
    settings = Settings(models=("seismic",), retention_grace_seconds=1e9, partitions=PARTITIONS)
    expected = Counter(
        record.id for record in forecast_events(read_events(str(path)), settings, load_service(settings))
    )
    own = {
        "MODELS": "seismic", "RETENTION_GRACE_SECONDS": "1e9", "DELIVERY_TIMEOUT_SECONDS": "10",
        "PROCESSING_GUARANTEE": "exactly_once", "INFERENCE_BATCH": "16", "BATCH_MAX_EVENTS": "100",
        "WATCHDOG_STALL_SECONDS": "5",
    }  # fmt: skip
    with EmbeddedBroker() as broker:
        stream = Stream(broker.bootstrap_servers, "outage", own).create()
        with Worker(stream, tmp_path) as worker:
            worker.wait_ready(120)
            replay(ReplayPlan(str(path), stream.bootstrap_servers, stream.prefix, limit=500, drain_seconds=0))
            settle(stream, [worker], 120)
            broker.kill()
            assert worker.process is not None
            wait_alive(worker, SHORT_SECONDS)
            broker.start()
            replay(ReplayPlan(str(path), stream.bootstrap_servers, stream.prefix))
            worker._wait(lambda: worker.metrics()["cascadecast_forecasts_made_total"] > 150, 120, "at work again")
            broker.kill()
            assert worker.process.wait(120) == EXIT_FAULT, worker.log_tail()
            broker.start()
            worker.start()
            settle(stream, [worker], 120)
            found = Counter(json.loads(message.value())["id"] for message in stream.messages("forecasts"))
            assert found == expected


def wait_alive(worker: Worker, seconds: float) -> None:
    assert worker.process is not None
    try:
        code = worker.process.wait(seconds)
    except subprocess.TimeoutExpired:
        return
    raise AssertionError(f"the worker ended with {code}:\n{worker.log_tail()}")


def test_no_kafka_at_the_start_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    worker = Worker(Stream("127.0.0.1:1", "absent"), tmp_path).start()
    assert worker.process is not None
    assert worker.process.wait(60) == 2
    (line,) = worker.log_path.read_text().splitlines()
    assert "no Kafka broker answers at 127.0.0.1:1" in line
