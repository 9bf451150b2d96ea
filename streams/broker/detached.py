"""A broker that outlives the command that started it: ``cascadecast broker start | status | stop``."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from streams.broker.errors import BrokerError
from streams.broker.node import DEFAULT_HEAP, NodeSettings, launch
from streams.broker.state import NodeState, end_process, load_state


def default_directory() -> Path:
    """Where the user's broker keeps its data when no directory is named."""
    home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return home / "cascadecast" / "broker"


def start_detached(
    directory: Path,
    *,
    port: int | None = None,
    heap: str = DEFAULT_HEAP,
    announce: Callable[[str], None] = lambda message: None,
) -> NodeState:
    """Start Kafka as a process of its own; a broker that already runs there is left alone and returned.

    Raises `BrokerError` when it cannot start, or runs already on another port than the one asked for.
    """
    settings = NodeSettings(directory.resolve(), port, heap)
    running = running_broker(directory)
    if running is None:
        return launch(settings, _DetachedChild, announce)
    if port is not None and port != running.port:
        raise BrokerError(
            f"the broker on {directory} already runs on port {running.port}: "
            f"stop it (cascadecast broker stop --data-dir {directory}) before it can have port {port}"
        )
    return running


def running_broker(directory: Path) -> NodeState | None:
    """The broker that runs on the directory, if one does."""
    state = load_state(directory)
    return state if state is not None and state.is_running() else None


def stop_detached(directory: Path) -> NodeState | None:
    """Stop the directory's broker cleanly and wait for its end; None when none runs. Raises `BrokerError`."""
    running = running_broker(directory)
    if running is not None and not end_process(running):
        raise BrokerError(f"the broker (pid {running.pid}) on {directory} does not end: look at {directory}/kafka.log")
    return running


class _DetachedChild:
    """Kafka in a session of its own, without a terminal, a pipe or a parent that waits for it."""

    def __init__(self, command: list[str], console: Path) -> None:
        with console.open("wb") as output:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def end(self) -> None:
        """A start that failed leaves nothing running."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
