"""A local copy of the state that lacks a record is found out, and made anew from the changelog by the next start."""

from __future__ import annotations

from pathlib import Path

from rocksdict import AccessType, Options, Rdict

from graph import write_events
from graph.ordering import ordered
from graph.simulation import Simulation
from graph.simulator import simulated_events
from streams.broker import EmbeddedBroker
from streams.replay.publishing import ReplayPlan, replay
from tests.integration.harness import Stream, Worker, settle

EXIT_FAULT = 70


def test_a_torn_copy_is_read_anew(kafka: EmbeddedBroker, topic_prefix: str, tmp_path: Path) -> None:
    events = list(ordered(simulated_events(Simulation(seed=4, hours=3.0, mean_size=20.0, lifetime_hours=3.0), 60)))
    stream = Stream(kafka.bootstrap_servers, topic_prefix, {"RETENTION_GRACE_SECONDS": "1e9"}).create()
    with Worker(stream, tmp_path) as worker:
        for number, part in enumerate((events[:400], events[400:800], events[800:])):
            write_events(tmp_path / f"{number}.jsonl", part)
            replay(
                ReplayPlan(str(tmp_path / f"{number}.jsonl"), stream.bootstrap_servers, stream.prefix, drain_seconds=0)
            )
            settle(stream, [worker])
        live, positions = live_cascades(worker), worker.positions()
        for times, (place, complaint) in enumerate(
            ((1, "missing between others"), (0, "the first 1 of its records are missing")), 1
        ):
            assert worker.terminate() == 0
            (copy,) = worker.data_dir.glob("**/segments-1.db")
            take_record(copy, place)

            worker.start()
            assert worker.process is not None
            assert worker.process.wait(60.0) == EXIT_FAULT
            assert complaint in worker.log_path.read_text()

            worker.start().wait_ready()
            assert live_cascades(worker) == live
            assert worker.positions() == positions
            assert worker.log_path.read_text().count("state was damaged; reading the changelog") == times
            assert list((worker.data_dir / "distrusted").iterdir()) == []


def live_cascades(worker: Worker) -> float:
    return sum(value for name, value in worker.metrics().items() if name.startswith("cascadecast_live_cascades"))


def take_record(copy: Path, place: int) -> None:
    """By its place in the log, which is not the last."""
    store = Rdict(str(copy), options=Options(raw_mode=True), access_type=AccessType.read_write())
    keys = sorted(key for key in map(bytes, store.keys()) if not key.startswith(b"__faust"))
    assert len(keys) >= 3
    del store[keys[place]]
    store.close()
