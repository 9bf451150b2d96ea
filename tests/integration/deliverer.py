"""`cascadecast alerts deliver` as a user runs it, and whom it tells: a real Alertmanager, and a service of ours."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import Producer

from streams.alerts.records import AlertRecord
from streams.kafka.security import KafkaSecurity
from tests.debian_tools import data_directory, debian_tool
from tests.integration.harness import Stream, Worker, free_port


class Deliverer(Worker):
    """A delivering process; it is waited for, asked and killed as a worker is."""

    def __init__(self, stream: Stream, directory: Path, targets: str) -> None:
        super().__init__(stream, directory, "deliver")
        file = directory / "targets.toml"
        file.write_text(targets)
        self._command = [
            sys.executable, "-m", "streams.cli", "alerts", "deliver",
            "--targets", str(file), "--http-port", str(self.port),
        ]  # fmt: skip

    def run(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return subprocess.run(
            [*self._command, *options], env=self._environment, capture_output=True, text=True, timeout=120, check=False
        )


def publish(stream: Stream, records: Sequence[AlertRecord | bytes], security: KafkaSecurity | None = None) -> None:
    how = {} if security is None else security.librdkafka()
    producer = Producer({"bootstrap.servers": stream.bootstrap_servers, "partitioner": "murmur2_random", **how})
    for record in records:
        value, key = (record, "none") if isinstance(record, bytes) else (msgspec.json.encode(record), record.cascade)
        producer.produce(f"{stream.prefix}.alerts", value, key)
    assert producer.flush(30) == 0


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not {what} after {seconds:.0f} s"
        time.sleep(0.05)


@dataclass
class Service:
    """Takes every POST, unless told otherwise, and keeps it."""

    port: int = 0
    status: int = 200
    taken: list[tuple[dict[str, str], Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"


@contextmanager
def service() -> Iterator[Service]:
    told = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if told.status == 200:
                told.taken.append((dict(self.headers), json.loads(body)))
            self.send_response(told.status)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.port = server.server_port
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


CONFIGURATION = """
route: {{receiver: r, group_by: [alertname, source], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}
receivers:
  - name: r
    webhook_configs: [{{url: "{url}", send_resolved: true}}]
"""


@dataclass
class Alertmanager:
    """A running Alertmanager."""

    url: str

    def firing(self) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts?active=true", timeout=5) as answer:
            found: list[dict[str, Any]] = json.loads(answer.read())
        return found

    def is_up(self) -> bool:
        try:
            self.firing()
        except OSError:
            return False
        return True


@contextmanager
def alertmanager(directory: Path, receiver: str) -> Iterator[Alertmanager]:
    program = debian_tool("prometheus-alertmanager")
    configuration = directory / "alertmanager.yml"
    configuration.write_text(CONFIGURATION.format(url=receiver))
    port = free_port()
    with (directory / "alertmanager.log").open("wb") as log:
        process = subprocess.Popen(
            [
                program, f"--config.file={configuration}", f"--storage.path={directory / 'alertmanager'}",
                f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=",
            ],
            stdout=log, stderr=log, cwd=data_directory(program, "prometheus-alertmanager"),
        )  # fmt: skip
        try:
            running = Alertmanager(f"http://127.0.0.1:{port}")
            wait_until(running.is_up, "Alertmanager up")
            yield running
        finally:
            process.terminate()
            process.wait(30)
