"""Workers as a user runs them, and what they left in Kafka."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from streams.kafka.topics import create_topics, declared_topics

SAMPLE = re.compile(r"^(\w+)(\{[^}]*\})? (\S+)$", re.MULTILINE)


PARTITIONS = 4
"""Of each installation; a run over a file learns as the workers do if it parts cascades alike."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Stream:
    """One installation on a broker: its topics and the settings its workers share."""

    bootstrap_servers: str
    prefix: str
    settings: dict[str, str] = field(default_factory=dict)
    partitions: int = PARTITIONS

    def create(self) -> Self:
        create_topics(self.bootstrap_servers, declared_topics(self.partitions, 1, self.prefix))
        return self

    @property
    def app_id(self) -> str:
        return f"{self.prefix}-app"

    def environment(self) -> dict[str, str]:
        own = {
            "BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "TOPIC_PREFIX": self.prefix,
            "APP_ID": self.app_id,
            "MODELS": "seismic,hawkes",
            "SHED": "false",
            "SESSION_TIMEOUT_SECONDS": "6",
            "HEARTBEAT_SECONDS": "0",  # tests count records; those of heartbeats ask for them
            "LOG_FORMAT": "console",
        } | self.settings
        clean = {name: value for name, value in os.environ.items() if not name.startswith("CASCADECAST_")}
        return clean | {f"CASCADECAST_{name}": value for name, value in own.items()} | {"OMP_NUM_THREADS": "1"}

    def is_consumed(self, workers: list[Worker]) -> bool:
        """Whether the workers have committed every record of the events topic, and it is part of their state."""
        return self.is_applied(workers) and all(committed == end for committed, end in self.progress())

    def is_applied(self, workers: list[Worker]) -> bool:
        """Whether every record is part of the workers' state, by what they say.

        Around a rebalance the framework may commit beyond records that are still to be read again, or stop behind
        what was read again.
        """
        reached: dict[int, float] = {}
        for worker in workers:
            reached |= worker.positions()
        return [reached.get(number) for number in range(self.partitions)] == [end for _, end in self.progress()]

    def progress(self) -> list[tuple[int, int]]:
        """Committed and last offset of each partition."""
        tps = [TopicPartition(f"{self.prefix}.events", number) for number in range(self.partitions)]
        try:
            committed = [tp.offset for tp in self._observer.committed(tps, timeout=10.0)]
        except KafkaException:  # the group's coordinator is not known yet
            committed = [-1] * len(tps)
        return [
            (offset, self._observer.get_watermark_offsets(tp, timeout=10.0)[1])
            for tp, offset in zip(tps, committed, strict=True)
        ]

    @cached_property
    def _observer(self) -> Consumer:
        """Of the workers' group, to read what it has committed; it never subscribes, so it never joins."""
        return Consumer({"bootstrap.servers": self.bootstrap_servers, "group.id": self.app_id, "log_level": 2})

    def messages(self, name: str) -> list[Message]:
        """All records of a topic, as they are now."""
        topic = f"{self.prefix}.{name}"
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap_servers,
                "group.id": "all",
                "enable.partition.eof": True,
                "log_level": 2,
            }
        )
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in range(self.partitions)])
        found: list[Message] = []
        ended = 0
        while ended < self.partitions:
            for message in consumer.consume(5000, 0.1):
                error = message.error()
                if error is None:
                    found.append(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    ended += 1
        consumer.close()
        return found

    def forecasts(self) -> list[dict[str, Any]]:
        return [json.loads(message.value()) for message in self.messages("forecasts")]


class Worker:
    """A `cascadecast worker` process."""

    def __init__(self, stream: Stream, directory: Path, name: str = "worker", program: str = "streams.cli") -> None:
        self.port = free_port()
        self.log_path = directory / f"{name}.log"
        self.data_dir = directory / name
        self._command = [
            sys.executable, "-m", program, "worker",
            "--data-dir", str(self.data_dir), "--http-port", str(self.port),
        ]  # fmt: skip
        self._environment = stream.environment()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=log)
        return self

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def terminate(self, timeout: float = 60.0) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(timeout)

    def get(self, page: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{page}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metrics(self) -> dict[str, float]:
        """Every sample of /metrics by its name and labels."""
        text = self.get("/metrics")[1]
        return {f"{name}{labels}": float(value) for name, labels, value in SAMPLE.findall(text)}

    def positions(self) -> dict[int, float]:
        """For each partition, the offset at which this worker's state goes on."""
        found = self.metrics()
        prefix = 'cascadecast_next_offset{partition="'
        return {
            int(name.removeprefix(prefix).rstrip('"}')): value
            for name, value in found.items()
            if name.startswith(prefix)
        }

    def wait_ready(self, seconds: float = 60.0) -> None:
        self._wait(lambda: self.get("/readyz")[0] == 200, seconds, "ready")

    def idle(self) -> bool:
        """Whether every forecast that fell due is out."""
        found = self.metrics()
        skipped = sum(value for name, value in found.items() if name.startswith("cascadecast_forecasts_skipped_total"))
        out = found["cascadecast_forecasts_made_total"] + skipped
        return found["cascadecast_forecasts_due_total"] == out and not found["cascadecast_forecasts_waiting"]

    def _wait(self, condition: Any, seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        while True:
            assert self.process is not None
            assert self.process.poll() is None, f"the worker ended with {self.process.returncode}:\n{self.log_tail()}"
            try:
                if condition():
                    return
            except (OSError, KeyError):
                pass  # not listening yet
            assert time.monotonic() < deadline, f"not {what} after {seconds:.0f} s:\n{self.log_tail()}"
            time.sleep(0.1)

    def log_tail(self, count: int = 40) -> str:
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-count:])


def settle(stream: Stream, workers: list[Worker], seconds: float = 60.0) -> None:
    """Wait until everything published is consumed, forecast and committed."""

    def at_rest() -> bool:
        owned: list[int] = []
        for worker in workers:
            status, page = worker.get("/readyz")
            owned += json.loads(page)["partitions"] if status == 200 else []
        everywhere = sorted(owned) == list(range(stream.partitions))
        return everywhere and stream.is_consumed(workers) and all(worker.idle() for worker in workers)

    def at_rest_for_a_while() -> bool:
        # A worker that has just recovered has nothing due yet to the eye: look twice.
        if not at_rest():
            return False
        time.sleep(1.5)
        return at_rest()

    try:
        workers[0]._wait(at_rest_for_a_while, seconds, "settled")
    except AssertionError as error:
        found = [
            {name: value for name, value in worker.metrics().items() if "_total" in name and value}
            for worker in workers
            if worker.process is not None and worker.process.poll() is None
        ]
        raise AssertionError(f"{error}\ncommitted: {stream.progress()}\n{found}") from None
