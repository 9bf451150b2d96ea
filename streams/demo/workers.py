"""Worker processes that never outlive the demo, and what they say of themselves."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from streams.broker import guardian
from streams.broker.ports import LOOPBACK, free_ports
from streams.kafka.security import PLAINTEXT

DRAIN_SECONDS: Final = 5.0
"""What a worker may finish after SIGTERM: nobody waits for the forecasts of a demo that is over."""

KAFKA_SECURITY: Final = "CASCADECAST_KAFKA_"
"""How the names of all settings of a Kafka's demands begin."""

NOT_FOR_ALL: Final = ("CASCADECAST_HTTP_TOKEN", "CASCADECAST_INSTANCE_ID")
"""Several workers cannot have one name, and the demo reads their pages without a token."""

MAX_BACKLOG: Final = 500
"""The warm-up makes thousands of forecasts due at once: only the latest of each post is worth showing."""

RULES: Final = Path(__file__).with_name("rules.toml")

END_SECONDS: Final = guardian.PATIENCE_SECONDS + 10.0


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """What every worker of a demo is told."""

    bootstrap_servers: str
    app_id: str
    topic_prefix: str
    models: Sequence[str]
    own_kafka: bool = False
    """The demo's own Kafka asks for no password, whatever the user's does."""

    def arguments(self, data_dir: Path, http_port: int) -> list[str]:
        """Of the command ``cascadecast``."""
        return [
            "worker",
            *("--bootstrap-servers", self.bootstrap_servers),
            *("--data-dir", str(data_dir)),
            *("--http-port", str(http_port)),
            *("--models", ",".join(self.models)),
            *("--log-format", "json"),
        ]

    def environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """The user's own, with what has no option; of the settings that only tune, the user's win."""
        tuning = {
            "CASCADECAST_ALERT_RULES": str(RULES),
            "CASCADECAST_MAX_BACKLOG": str(MAX_BACKLOG),
            "CASCADECAST_DRAIN_TIMEOUT_SECONDS": str(DRAIN_SECONDS),
        }
        inherited = {name: value for name, value in inherited.items() if not name.startswith(NOT_FOR_ALL)}
        if self.own_kafka:
            inherited = {name: value for name, value in inherited.items() if not name.startswith(KAFKA_SECURITY)}
            tuning |= {f"{KAFKA_SECURITY}SECURITY_PROTOCOL": PLAINTEXT.protocol}
        return {
            **tuning,
            **inherited,
            "CASCADECAST_APP_ID": self.app_id,
            "CASCADECAST_TOPIC_PREFIX": self.topic_prefix,
            "CASCADECAST_SHED": "true",
            "CASCADECAST_HTTP_HOST": LOOPBACK,
        }


def worker_command() -> list[str]:
    """``cascadecast`` of this very installation; -P keeps the folder it is called in from shadowing packages."""
    return [sys.executable, "-P", "-m", "streams.cli"]


class WorkerProcess:
    """One ``cascadecast worker`` with a directory of its own for data and log, removed at the end.

    It runs under `streams.broker.guardian`: when this process is gone, however it went, the worker is ended
    and its directory removed.
    """

    def __init__(self, plan: WorkerPlan) -> None:
        (self.http_port,) = free_ports(1)
        self._scratch = tempfile.TemporaryDirectory(prefix="cascadecast-worker-", ignore_cleanup_errors=True)
        directory = Path(self._scratch.name)
        self.log_path = directory / "worker.log"
        watch = [sys.executable, "-I", "-S", guardian.__file__, str(os.getpid()), str(directory)]
        with self.log_path.open("wb") as output:
            self._guardian = subprocess.Popen(
                [*watch, *worker_command(), *plan.arguments(directory / "data", self.http_port)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                env=plan.environment(os.environ),
                start_new_session=True,  # Ctrl-C in the terminal is for the demo, which ends us in order
            )

    @property
    def page_url(self) -> str:
        """Where people look; Prometheus finds ``/metrics`` beside it."""
        return f"http://{LOOPBACK}:{self.http_port}/"

    def exit_status(self) -> int | None:
        """None while it runs."""
        return self._guardian.poll()

    def begin_to_end(self) -> None:
        """SIGTERM, by way of the guardian, which kills it if it does not drain in time."""
        for pipe in (self._guardian.stdin, self._guardian.stdout):
            if pipe is not None:
                pipe.close()

    def end(self) -> None:
        """Wait for its end, then remove its directory."""
        self.begin_to_end()
        try:
            self._guardian.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._guardian.kill()  # the kernel kills the worker with it
            self._guardian.wait()
        self._scratch.cleanup()


def end_of_log(path: Path, lines: int = 12) -> str:
    """The last lines of a log, each cut to a readable length, for the message about its writer's end."""
    said = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    last = [line[:500] for line in said if line.strip()][-lines:] or ["(it is empty)"]
    return "\n  ".join(["the end of its log:", *last])


@dataclass(frozen=True, slots=True)
class Pulse:
    """What the workers' metrics say, summed."""

    live_cascades: int
    waiting: int


class PulseReader:
    """Reads the workers' /metrics once a second in a thread of its own; ``latest`` is None until one answered."""

    def __init__(self, ports: Sequence[int]) -> None:
        self._ports = ports
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="demo-pulse", daemon=True)
        self.latest: Pulse | None = None
        self._thread.start()

    def stop(self) -> None:
        """Read no more."""
        self._stop.set()
        self._thread.join(2.0)

    def _run(self) -> None:
        while not self._stop.wait(1.0):
            texts = [text for port in self._ports if (text := _read_metrics(port)) is not None]
            if texts:
                self.latest = Pulse(
                    live_cascades=round(sum(gauge(text, "cascadecast_live_cascades") for text in texts)),
                    waiting=round(sum(gauge(text, "cascadecast_forecasts_waiting") for text in texts)),
                )


def gauge(exposition: str, name: str) -> float:
    """The sum of a metric over its labels, from Prometheus' text format; 0 where it is missing."""
    total = 0.0
    for line in exposition.splitlines():
        if line.startswith((f"{name} ", f"{name}{{")):
            total += float(line.rpartition(" ")[2])
    return total


def _read_metrics(port: int) -> str | None:
    """None while nobody answers."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=1.0)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        return answer.read().decode("utf-8", "replace") if answer.status == 200 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
