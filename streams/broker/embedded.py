"""A real Apache Kafka within the life of this process: for the demo, tests, ``broker start --foreground``."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from streams.broker import guardian
from streams.broker.errors import BrokerError
from streams.broker.listener import OPEN, Listener
from streams.broker.node import DEFAULT_HEAP, NodeSettings, launch
from streams.broker.state import NodeState


class EmbeddedBroker:
    """One Kafka node on free loopback ports that never outlives this process.

    Without ``data_dir`` its data is temporary and removed at `stop`; with one it is kept, and the next start
    finds it and takes the same ports if they are free. The broker runs in a session of its own, so that
    Ctrl-C in the terminal reaches this process alone, which then stops its clients first.

        with EmbeddedBroker() as broker:
            Producer({"bootstrap.servers": broker.bootstrap_servers})
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        *,
        port: int | None = None,
        heap: str = DEFAULT_HEAP,
        listener: Listener = OPEN,
        announce: Callable[[str], None] = lambda message: None,
    ) -> None:
        self._kept = data_dir.resolve() if data_dir is not None else None
        self._port = port
        self._heap = heap
        self._listener = listener
        self._announce = announce
        self._scratch: Path | None = None
        self._child: _GuardedChild | None = None
        self._state: NodeState | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def directory(self) -> Path:
        """Where data, configuration and log lie."""
        directory = self._kept or self._scratch
        if directory is None:
            raise BrokerError("the broker has not been started")
        return directory

    @property
    def log_path(self) -> Path:
        """Kafka's log."""
        return NodeSettings(self.directory).log_path

    @property
    def bootstrap_servers(self) -> str:
        """What clients connect to; it stays the same over `kill` and `restart`."""
        return self._running_state().bootstrap_servers

    @property
    def port(self) -> int:
        """The clients' port."""
        return self._running_state().port

    @property
    def pid(self) -> int:
        """Of the Java process."""
        return self._running_state().pid

    def is_running(self) -> bool:
        """Whether the Kafka process lives."""
        return self._child is not None and self._child.is_alive()

    def start(self) -> Self:
        """Start and wait until it serves; nothing happens if it runs already. Raises `BrokerError`."""
        if self.is_running():
            return self
        if self._kept is None and self._scratch is None:
            self._scratch = Path(tempfile.mkdtemp(prefix="cascadecast-kafka-"))
        try:
            self._state = launch(self._settings(), self._spawn, self._announce)
        except BaseException:
            self.stop()
            raise
        return self

    def _settings(self) -> NodeSettings:
        return NodeSettings(self.directory, self._port, self._heap, self._listener)

    def stop(self) -> None:
        """End Kafka cleanly and remove temporary data; nothing happens if it does not run."""
        self._end_child()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch = None

    def kill(self) -> None:
        """SIGKILL, as in a crash: the data stays, `start` brings the broker back on the same ports."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self._end_child()

    def restart(self) -> Self:
        """Stop cleanly and start again with the same data and ports."""
        self._end_child()
        return self.start()

    def wait(self) -> int:
        """Until Kafka ends by itself or by another's hand; its exit status."""
        if self._child is None:
            raise BrokerError("the broker has not been started")
        return self._child.wait()

    def _spawn(self, command: list[str], console: Path) -> _GuardedChild:
        self._child = _GuardedChild(command, console, self._scratch)
        return self._child

    def _end_child(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None

    def _running_state(self) -> NodeState:
        if self._state is None:
            raise BrokerError("the broker has not been started")
        return self._state


class _GuardedChild:
    """Kafka under `streams.broker.guardian`, which ends it when this process is gone."""

    def __init__(self, command: list[str], console: Path, scratch: Path | None) -> None:
        watch = [sys.executable, "-I", "-S", guardian.__file__, str(os.getpid()), str(scratch or "")]
        with console.open("wb") as output:
            self._guardian = subprocess.Popen(
                [*watch, *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                start_new_session=True,
            )
        assert self._guardian.stdout is not None
        told = self._guardian.stdout.readline()
        if not told:
            self.end()
            raise BrokerError(f"could not start {command[0]}: {console.read_text(errors='replace').strip()}")
        self.pid = int(told)

    def is_alive(self) -> bool:
        return self._guardian.poll() is None

    def wait(self) -> int:
        return self._guardian.wait()

    def end(self) -> None:
        """Close the pipe, which the guardian takes as the order to end Kafka cleanly."""
        for pipe in (self._guardian.stdin, self._guardian.stdout):
            if pipe is not None:
                pipe.close()
        self._guardian.wait(guardian.PATIENCE_SECONDS + 10.0)
