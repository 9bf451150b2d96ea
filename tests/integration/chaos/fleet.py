"""The processes that faults strike: workers under a supervisor that starts them again, and a replay that goes on."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

from tests.integration.chaos.expected import DRAIN_SECONDS
from tests.integration.harness import Stream, Worker

RESTART_SECONDS: Final = 1.0
"""A supervisor's pause before it starts a worker again that ended by itself."""

FULL_BYTES: Final = 16 * 1024
"""Of each file on a full disk: below what the worker's files hold already, so that no write succeeds."""


class Member(Worker):
    """A worker of the fleet. One that ends although nobody stopped it is started again."""

    def __init__(self, stream: Stream, directory: Path, name: str) -> None:
        super().__init__(stream, directory, name, program="tests.integration.chaos.worker")
        self.wanted = True
        self.paused = False
        self.disk_full = False
        self.start_at = 0.0

    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def pause(self) -> None:
        self.paused = True
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.paused = False
        self._signal(signal.SIGCONT)

    def fill_disk(self) -> None:
        self.disk_full = True
        self._limit_files()

    def empty_disk(self) -> None:
        self.disk_full = False
        self._limit_files()

    def told(self) -> dict[str, Any]:
        """What it says of itself, for whoever asks why it does not come to rest."""
        try:
            status, page = self.get("/readyz")
            found = self.metrics()
        except OSError as error:
            return {"alive": self.is_alive(), "says": str(error)}
        forecasts = {name: value for name, value in found.items() if value and "_forecasts_" in name}
        return {"status": status, "page": page, "positions": self.positions(), "forecasts": forecasts}

    def launch(self) -> None:
        self.start()
        self._limit_files()

    def _limit_files(self) -> None:
        """A limit on the size of its files is all that a disk without room is to a process, and needs no rights."""
        if self.is_alive():
            assert self.process is not None
            limit = FULL_BYTES if self.disk_full else resource.RLIM_INFINITY
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

    def _signal(self, number: int) -> None:
        if self.is_alive():
            assert self.process is not None
            self.process.send_signal(number)


class Fleet:
    """The workers: ``wanted`` ones run, or are started again."""

    def __init__(self, stream: Stream, directory: Path) -> None:
        self._stream = stream
        self._directory = directory
        self.members: list[Member] = []
        self.exits: Counter[str] = Counter()

    def running(self) -> list[Member]:
        """Those that a fault may choose from: not stopped, down, or paused already."""
        return [one for one in self.members if one.wanted and one.is_alive() and not one.paused]

    def scale(self, count: int) -> None:
        """Start or stop (SIGTERM) members until so many are wanted; the eldest go first."""
        wanted = [one for one in self.members if one.wanted]
        for _ in range(count - len(wanted)):
            member = Member(self._stream, self._directory, f"worker-{len(self.members)}")
            self.members.append(member)
        for member in [one for one in wanted if not one.paused][: max(0, len(wanted) - count)]:
            self.retire(member)

    def retire(self, member: Member) -> None:
        member.wanted = False
        if member.is_alive():
            assert member.process is not None
            member.process.terminate()

    def restart_cleanly(self, member: Member) -> None:
        """SIGTERM, and a start once it is gone."""
        assert member.process is not None
        member.process.terminate()

    def supervise(self) -> None:
        """Note who ended, start who is wanted."""
        now = time.monotonic()
        for member in self.members:
            if member.process is not None and member.process.poll() is not None:
                self.exits[str(member.process.returncode)] += 1
                member.process = None
                member.start_at = max(member.start_at, now + RESTART_SECONDS)
            if member.wanted and member.process is None and now >= member.start_at:
                member.launch()

    def kill(self, member: Member, seconds: float, *, wipe: bool) -> None:
        member.kill()
        member.start_at = time.monotonic() + seconds
        if wipe:
            shutil.rmtree(member.data_dir, ignore_errors=True)

    def at_rest(self) -> bool:
        """Whether every partition is owned, everything is in the state, and every forecast that fell due is out."""
        owned: list[int] = []
        wanted: list[Worker] = [member for member in self.members if member.wanted]
        for member in wanted:
            status, page = member.get("/readyz")
            owned += json.loads(page)["partitions"] if status == 200 else [-1]
        return (
            sorted(owned) == list(range(self._stream.partitions))
            and self._stream.is_applied(wanted)
            and all(member.idle() for member in wanted)
        )

    def stop(self, seconds: float) -> list[int]:
        """SIGTERM to all at once; their exit codes."""
        wanted = [one for one in self.members if one.wanted and one.process is not None]
        for member in wanted:
            self.retire(member)
        return [member.process.wait(seconds) for member in wanted if member.process is not None]

    def end(self) -> None:
        """Leave no process behind."""
        for member in self.members:
            if member.is_alive():
                member.resume()
                member.kill()


class ReplayProcess:
    """``cascadecast replay --raw --resume`` of the lines, started again until it says that all is published."""

    def __init__(self, lines: Path, servers: str, prefix: str, speed: float) -> None:
        self._position = lines.with_name("position")
        self._log = lines.with_name("replay.log")
        self._command = [
            sys.executable, "-m", "streams.cli", "replay", str(lines), "--bootstrap-servers", servers,
            "--topic-prefix", prefix, "--raw", "--speed", f"{speed:g}", "--drain", f"{DRAIN_SECONDS:g}",
            "--resume", "--position", str(self._position),
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None
        self._start_at = 0.0
        self.starts = 0

    @property
    def position(self) -> dict[str, Any]:
        """What the replay itself recorded."""
        try:
            found: dict[str, Any] = json.loads(self._position.read_bytes())
        except FileNotFoundError:
            return {"acknowledged": 0, "complete": False}
        return found

    def is_complete(self) -> bool:
        return bool(self.position["complete"]) and self._process is None

    def supervise(self) -> None:
        if self._process is not None and self._process.poll() is not None:
            self._process = None
            self._start_at = max(self._start_at, time.monotonic() + 0.2)
        if self._process is None and not self.position["complete"] and time.monotonic() >= self._start_at:
            clean = {name: value for name, value in os.environ.items() if not name.startswith("CASCADECAST_")}
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(self._command, stdout=log, stderr=log, env=clean)
            self.starts += 1

    def kill(self, seconds: float) -> bool:
        """False if it was not running."""
        if self._process is None or self._process.poll() is not None:
            return False
        self._process.kill()
        self._process.wait()
        self._process = None
        self._start_at = time.monotonic() + seconds
        return True

    def end(self) -> None:
        self.kill(0.0)
