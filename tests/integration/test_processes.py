"""Worker processes under one command share the partitions, outlive a crash of one of them, and drain together."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from pathlib import Path

import pytest

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


def two_free_ports() -> int:
    """The lower one of two neighbours."""
    while True:
        with socket.socket() as first, socket.socket() as second, contextlib.suppress(OSError, OverflowError):
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            second.bind(("127.0.0.1", port + 1))
            return port


class Processes(Worker):
    """``cascadecast worker --processes 2``; itself stands for the first of them."""

    def __init__(self, stream: Stream, directory: Path) -> None:
        super().__init__(stream, directory)
        self.port = two_free_ports()
        self._command += ["--processes", "2", "--http-port", str(self.port)]
        self.second = Worker(stream, directory, "second")
        self.second.port, self.second.log_path = self.port + 1, self.log_path

    def start(self) -> Processes:
        super().start()
        self.second.process = self.process
        return self

    def children(self) -> list[int]:
        assert self.process is not None
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture
def events_file(tmp_path: Path) -> Path:
    simulation = Simulation(seed=17, hours=4.0, mean_size=20.0, lifetime_hours=20.0)
    write_events(tmp_path / "events.jsonl", ordered(simulated_events(simulation, 60)))
    return tmp_path / "events.jsonl"


def test_two_processes_share_the_work_and_one_that_is_killed_is_started_again(
    kafka: EmbeddedBroker, topic_prefix: str, tmp_path: Path, events_file: Path
) -> None:
    stream = Stream(kafka.bootstrap_servers, topic_prefix, {"RETENTION_GRACE_SECONDS": "1e9"}).create()
    settings = Settings(models=("seismic", "hawkes"), retention_grace_seconds=1e9, partitions=PARTITIONS)
    with Processes(stream, tmp_path) as worker:
        workers = [worker, worker.second]
        for each in workers:
            each.wait_ready(120)
        killed = worker.children()[1]
        os.kill(killed, signal.SIGKILL)
        worker._wait(lambda: len(worker.children()) == 2 and killed not in worker.children(), 60, "started again")
        replay(ReplayPlan(str(events_file), stream.bootstrap_servers, stream.prefix, drain_seconds=3600.0))
        settle(stream, workers, 180)
        assert all(each.positions() for each in workers), "each has a share of the partitions"
        assert {record["id"] for record in stream.forecasts()} == {
            record.id for record in forecast_events(read_events(str(events_file)), settings, load_service(settings))
        }
        assert worker.terminate() == 0
        assert sorted(path.name for path in worker.data_dir.iterdir()) == ["process-0", "process-1"]
