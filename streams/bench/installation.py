"""What benchmarks of the whole path run on: an embedded Kafka, a worker as a user runs it, and a feed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from confluent_kafka import OFFSET_END, Consumer, Producer, TopicPartition

from graph.errors import UserError
from streams.broker import guardian
from streams.broker.ports import LOOPBACK, free_ports
from streams.demo.workers import end_of_log, gauge, worker_command
from streams.kafka.clients import kafka_client_config
from streams.kafka.security import KafkaSecurity

PREFIX: Final = "bench"
APP_ID: Final = "bench"

POLL_SECONDS: Final = 0.1
PATIENCE_SECONDS: Final = 1800.0


class BenchWorker:
    """A ``cascadecast worker`` that is started and stopped as often as one likes, on one data directory.

    It runs under `streams.broker.guardian`, so it never outlives the benchmark.
    """

    def __init__(self, bootstrap_servers: str, directory: Path, settings: Mapping[str, str]) -> None:
        (self.port,) = free_ports(1)
        self.data_dir = directory / "data"
        self._log = directory / "worker.log"
        own = {
            "BOOTSTRAP_SERVERS": bootstrap_servers, "TOPIC_PREFIX": PREFIX, "APP_ID": APP_ID,
            "HTTP_PORT": str(self.port), "DATA_DIR": str(self.data_dir), "LOG_FORMAT": "console",
            "HEARTBEAT_SECONDS": "0",  # records are counted
        }  # fmt: skip
        clean = {name: value for name, value in os.environ.items() if not name.startswith("CASCADECAST_")}
        self._environment = {
            **clean,
            "OMP_NUM_THREADS": "1",
            **{f"CASCADECAST_{name}": value for name, value in {**own, **settings}.items()},
        }
        self._guardian: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self.pid = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> Self:
        """Start; `wait_ready` says when it serves."""
        self._started = time.monotonic()
        watch = [sys.executable, "-I", "-S", guardian.__file__, str(os.getpid()), ""]
        with self._log.open("ab") as log:
            self._guardian = subprocess.Popen(
                [*watch, *worker_command(), "worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )
        assert self._guardian.stdout is not None
        self.pid = int(self._guardian.stdout.readline())
        return self

    def wait_ready(self) -> float:
        """Until /readyz says so; seconds since the start. Raises UserError when the worker ends."""
        self.wait_until(lambda: self._get("/readyz") is not None, "ready")
        return time.monotonic() - self._started

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """Raises UserError when the worker ends, or with `PATIENCE_SECONDS`."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            if self._guardian is None or self._guardian.poll() is not None or time.monotonic() > deadline:
                raise UserError(f"the worker is not {what}; {end_of_log(self._log)}")
            time.sleep(POLL_SECONDS)

    def processor_seconds(self) -> float:
        """What it has used since its start: says what a start costs whatever else the machine does."""
        fields = (Path("/proc") / str(self.pid) / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_memory_bytes(self) -> int:
        """The most that was resident since its start."""
        status = (Path("/proc") / str(self.pid) / "status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels, of which the first may be given; 0 where nobody answers."""
        page = self._get("/metrics")
        return 0.0 if page is None else gauge(page, name)

    def each(self, name: str, label: str) -> dict[str, float]:
        """A metric by one of its labels, the only one; empty where nobody answers."""
        page = self._get("/metrics") or ""
        lines = (line.rpartition(" ") for line in page.splitlines() if line.startswith(f'{name}{{{label}="'))
        return {series.split('"')[1]: float(value) for series, _, value in lines}

    def samples(self, name: str) -> int:
        """How many series of a metric there are; 0 where nobody answers."""
        page = self._get("/metrics") or ""
        return sum(line.startswith(f"{name}{{") for line in page.splitlines())

    def stop(self) -> None:
        """SIGTERM, and wait for its end."""
        if self._guardian is None:
            return
        if self._guardian.poll() is None:
            os.kill(self.pid, signal.SIGTERM)
            self._guardian.wait()
        for pipe in (self._guardian.stdin, self._guardian.stdout):
            if pipe is not None:
                pipe.close()
        self._guardian = None

    def _get(self, page: str) -> str | None:
        try:
            with urllib.request.urlopen(f"http://{LOOPBACK}:{self.port}{page}", timeout=10.0) as answer:
                found: str = answer.read().decode()
                return found
        except (urllib.error.URLError, OSError):
            return None


def forecasts_from_now_on(bootstrap_servers: str, partitions: int, wait_ms: int) -> Consumer:
    """A consumer of the forecasts that come after this call; the brokers answer it within ``wait_ms``."""
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "bench", "fetch.wait.max.ms": wait_ms})
    consumer.assign([TopicPartition(f"{PREFIX}.forecasts", number, OFFSET_END) for number in range(partitions)])
    consumer.consume(1, 1.0)
    return consumer


def producer(bootstrap_servers: str, linger_ms: int = 20) -> Producer:
    """Of events, parted as all clients part them."""
    return Producer(
        {
            **kafka_client_config(bootstrap_servers, KafkaSecurity()),
            "partitioner": "murmur2_random",
            "linger.ms": linger_ms,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 500_000,
        }
    )


def send_all(sender: Producer, topic: str, records: Iterable[tuple[bytes, bytes]]) -> int:
    """Publish (key, value) pairs as fast as they are taken; how many."""
    count = 0
    for key, value in records:
        produce(sender, topic, value, key)
        count += 1
    sender.flush()
    return count


def produce(sender: Producer, topic: str, value: bytes | None, key: bytes, **where: Any) -> None:
    """One record, waiting while the queue is full."""
    while True:
        try:
            sender.produce(topic, value, key, **where)
            return
        except BufferError:
            sender.poll(0.1)
