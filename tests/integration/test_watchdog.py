"""A worker that hangs ends by itself and tells where; one that was merely stopped for a while goes on."""

from __future__ import annotations

import json
import signal
import sys
import time
import urllib.request
from pathlib import Path

from confluent_kafka import Producer

from streams.broker import EmbeddedBroker
from streams.supervision.watchdog_thread import EXIT_STALLED
from tests.integration.harness import Stream, Worker

SETTINGS = {"MODELS": "seismic", "WATCHDOG_LOOP_SECONDS": "5", "WATCHDOG_STALL_SECONDS": "15"}

TOKEN = "of-the-pages"

BLOCKED_LOOP = "async def hang(self):\n    time.sleep(3600)\nWorkerCore.tick = hang"
STALLED_CONSUMER = "async def hang(self, *rest):\n    await asyncio.Event().wait()\nWorkerCore.ingest = hang"

PROGRAM = """
import asyncio, sys, time
from streams.cli import main
from streams.worker.core import WorkerCore
{patch}
sys.argv[0] = "cascadecast"
main()
"""


def sick(stream: Stream, directory: Path, name: str, patch: str) -> Worker:
    """A worker that hangs in a way of its own."""
    worker = Worker(stream, directory, name)
    worker._command = [sys.executable, "-c", PROGRAM.format(patch=patch), *worker._command[3:]]
    return worker


def test_workers_that_hang_end_with_a_dump_and_one_that_was_stopped_goes_on(
    kafka: EmbeddedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    streams = {
        name: Stream(kafka.bootstrap_servers, f"{topic_prefix}-{name}", dict(SETTINGS)).create()
        for name in ("blocked", "stalled", "stopped")
    }
    streams["stopped"].settings["HTTP_TOKEN"] = TOKEN
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "log_level": 2})
    for partition in range(4):
        event = b'{"id":"c","cascade":"c","kind":"post","time":1}'
        producer.produce(f"{streams['stalled'].prefix}.events", event, b"c", partition)
    producer.flush()
    with (
        sick(streams["blocked"], tmp_path, "blocked", BLOCKED_LOOP) as blocked,
        sick(streams["stalled"], tmp_path, "stalled", STALLED_CONSUMER) as stalled,
        Worker(streams["stopped"], tmp_path, "stopped") as stopped,
    ):
        stopped.wait_ready()
        assert stopped.process is not None
        stopped.process.send_signal(signal.SIGSTOP)
        time.sleep(11.0)
        stopped.process.send_signal(signal.SIGCONT)
        for worker, said in (
            (blocked, ("the event loop has not answered", "in hang")),
            (stalled, ("events of partition 0: no progress", "in hang", "positions", "lag")),
        ):
            assert worker.process is not None
            assert worker.process.wait(60) == EXIT_STALLED, worker.log_tail()
            log = worker.log_path.read_text()
            assert all(text in log for text in said), log
        time.sleep(4.0)
        stopped.wait_ready()
        assert json.loads(stopped.get("/healthz")[1]) == {"status": "ok"}, "a probe without the token learns no more"
        assert json.loads(stopped.get("/readyz")[1]) == {"ready": True}
        assert stopped.get("/metrics")[0] == 401
        page = urllib.request.Request(
            f"http://127.0.0.1:{stopped.port}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}
        )
        with urllib.request.urlopen(page, timeout=5) as answer:
            metrics = answer.read().decode()
        assert "cascadecast_ready 1.0" in metrics
        assert TOKEN not in metrics + stopped.log_path.read_text()
        assert stopped.terminate() == 0
