"""Several workers on one machine, each a process of its own, and what is done when one of them ends.

A process is one worker: the group gives it its share of the partitions, as if it ran on a machine of its own. Each has
its own data directory, HTTP port and instance id. Signals to stop are passed on. A process that ended by a fault from
which a restart recovers is started again, unless that happens too often; any other end is the end of all.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Final

import structlog

from streams.settings import Settings

log = structlog.get_logger("cascadecast.processes")

RECOVERS: Final = frozenset({70, 71})
"""Exit codes after which a restart helps: a fault, and the watchdog's. Death by a signal is the third."""

MAX_RESTARTS: Final = 5
RESTARTS_WITHIN_SECONDS: Final = 600.0
"""More restarts of one process in so long, and it is not a fault that comes and goes."""

RESTART_PAUSE_SECONDS: Final = 2.0
_POLL_SECONDS: Final = 0.2
_PR_SET_PDEATHSIG: Final = 1  # <linux/prctl.h>
_OWN_OPTIONS: Final = ("--processes", "--data-dir", "--http-port")
_OWN_VARIABLES: Final = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
"""Systemd listens to this process alone."""


@dataclass(frozen=True, slots=True)
class ProcessPlan:
    """How one worker process differs from its siblings, as settings by the names of their variables."""

    number: int
    environment: Mapping[str, str]


@dataclass(slots=True)
class _Process:
    plan: ProcessPlan
    running: subprocess.Popen[bytes] | None = None
    start_at: float = 0.0  # monotonic
    restarts: list[float] = field(default_factory=list)  # monotonic


def plans(settings: Settings, processes: int) -> list[ProcessPlan]:
    """Of so many processes: directories below ``data_dir``, ports from ``http_port`` on (0: any), numbered names."""
    found = []
    for number in range(processes):
        environment = {
            "CASCADECAST_DATA_DIR": str(Path(settings.data_dir) / f"process-{number}"),
            "CASCADECAST_HTTP_PORT": str(settings.http_port + number if settings.http_port else 0),
        }
        if settings.instance_id is not None:
            environment["CASCADECAST_INSTANCE_ID"] = f"{settings.instance_id}-{number}"
        found.append(ProcessPlan(number, environment))
    return found


class Supervisor:
    """Runs the processes until all have ended; `run` returns the exit code."""

    def __init__(
        self,
        processes: Sequence[ProcessPlan],
        command: Sequence[str],
        *,
        clock: Callable[[], float] = time.monotonic,
        pause_seconds: float = RESTART_PAUSE_SECONDS,
    ) -> None:
        """``command`` starts a worker; it reads its settings from the environment."""
        self._processes = [_Process(plan) for plan in processes]
        self._command = list(command)
        self._clock = clock
        self._pause_seconds = pause_seconds
        self._stopping = False
        self._exit_code = 0

    def run(self) -> int:
        """0 when all drained after a signal to stop, else the code of the process that ended first otherwise."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        while True:
            for process in self._processes:
                self._tend(process)
            if self._stopping and all(process.running is None for process in self._processes):
                return self._exit_code
            time.sleep(_POLL_SECONDS)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del frame
        log.info("stopping all processes", signal=signal.Signals(number).name)
        self._stop()

    def _stop(self) -> None:
        self._stopping = True
        for process in self._processes:
            if process.running is not None:
                process.running.terminate()

    def _tend(self, process: _Process) -> None:
        if process.running is None:
            if not self._stopping and self._clock() >= process.start_at:
                self._start(process)
        elif (status := process.running.poll()) is not None:
            process.running = None
            self._ended(process, status)

    def _start(self, process: _Process) -> None:
        inherited = {name: value for name, value in os.environ.items() if name not in _OWN_VARIABLES}
        process.running = subprocess.Popen(
            self._command,
            env={**inherited, **process.plan.environment},
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is passed on once, by us
            preexec_fn=_end_with_parent,
        )
        if self._stopping:  # the signal came between the look and the start
            process.running.terminate()

    def _ended(self, process: _Process, status: int) -> None:
        number = process.plan.number
        if self._stopping:
            self._exit_code = self._exit_code or _exit_code(status)
            return
        now = self._clock()
        process.restarts = [at for at in process.restarts if now - at < RESTARTS_WITHIN_SECONDS]
        if (status < 0 or status in RECOVERS) and len(process.restarts) < MAX_RESTARTS:
            process.restarts.append(now)
            process.start_at = now + self._pause_seconds
            log.warning("a worker process ended and is started again", process=number, status=status)
            return
        log.error("a worker process ended; so do the others", process=number, status=status)
        self._exit_code = _exit_code(status)
        self._stop()


def _exit_code(status: int) -> int:
    return status if status >= 0 else 128 - status


def _end_with_parent() -> None:
    """In the child: drain when the supervisor is gone, however it went."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "prctl"):
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def arguments_for_each(arguments: Sequence[str]) -> list[str]:
    """The arguments of ``cascadecast`` without what differs from process to process."""
    kept: list[str] = []
    following = iter(arguments)
    for argument in following:
        if argument in _OWN_OPTIONS:
            next(following, None)
        elif argument.partition("=")[0] not in _OWN_OPTIONS:
            kept.append(argument)
    return kept
