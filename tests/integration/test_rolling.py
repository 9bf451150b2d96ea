"""A rolling upgrade while events come: worker after worker ends cleanly and comes back, and nothing shows it."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import msgspec

from graph import read_events, write_events
from graph.ordering import ordered
from graph.simulation import Simulation
from graph.simulator import simulated_events
from streams.broker import EmbeddedBroker
from streams.engine.forecast_file import forecast_events
from streams.engine.inference import load_service
from streams.replay.publishing import ReplayPlan, replay
from streams.settings import Settings
from tests.integration.harness import PARTITIONS, Stream, Worker, settle
from tests.integration.test_worker import assert_same_forecasts, state, truth

PLAYED_SECONDS = 8.0


def test_worker_after_worker_is_replaced_and_nothing_is_lost(
    kafka: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    path = tmp_path / "events.jsonl"
    write_events(
        path, ordered(simulated_events(Simulation(seed=9, hours=4.0, mean_size=20.0, lifetime_hours=12.0), 60))
    )
    events = list(read_events(str(path)))
    settings = Settings(models=("seismic", "hawkes"), retention_grace_seconds=1e9, partitions=PARTITIONS)
    expected = {
        record.id: json.loads(msgspec.json.encode(record))
        for record in forecast_events(events, settings, load_service(settings))
    }
    stream = Stream(kafka.bootstrap_servers, topic_prefix, {"RETENTION_GRACE_SECONDS": "1e9"}).create()
    speed = (events[-1].time - events[0].time) / PLAYED_SECONDS
    plan = ReplayPlan(str(path), stream.bootstrap_servers, stream.prefix, speed=speed)
    with Worker(stream, tmp_path, "one") as one, Worker(stream, tmp_path, "two") as two:
        for worker in (one, two):
            worker.wait_ready()
        player = threading.Thread(target=replay, args=(plan,))
        player.start()
        for worker in (one, two):
            assert worker.terminate() == 0, "an end that was asked for is a clean one"
            worker.start()
            worker.wait_ready()
        player.join()
        settle(stream, [one, two])
        assert_same_forecasts(stream.forecasts(), expected)
        assert state(stream) == truth(path)
