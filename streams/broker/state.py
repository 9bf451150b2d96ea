"""What is known of a data directory's broker: written beside the data for status, stop and the next start."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Final

import msgspec

from streams.broker.ports import LOOPBACK

STATE_FILE: Final = "broker.json"


class NodeState(msgspec.Struct, frozen=True):
    """The last broker process of a data directory, and its ports, which the next start takes again."""

    pid: int
    start_ticks: int  # of the process, since boot: with the pid it names one process for ever
    port: int
    controller_port: int
    heap: str
    kafka_version: str

    @property
    def bootstrap_servers(self) -> str:
        """What clients connect to."""
        return f"{LOOPBACK}:{self.port}"

    def is_running(self) -> bool:
        """Whether that very process lives; a stranger that was given the same pid does not count."""
        return process_start_ticks(self.pid) == self.start_ticks

    def save(self, directory: Path) -> None:
        """Write beside the broker's data, whole or not at all."""
        scratch = directory / f"{STATE_FILE}.{os.getpid()}"
        scratch.write_bytes(msgspec.json.format(msgspec.json.encode(self)))
        scratch.replace(directory / STATE_FILE)


def load_state(directory: Path) -> NodeState | None:
    """The state of a data directory; None when no broker ever ran there or the file is damaged."""
    try:
        return msgspec.json.decode((directory / STATE_FILE).read_bytes(), type=NodeState)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def process_start_ticks(pid: int) -> int | None:
    """When the process started, in clock ticks since boot (proc(5), field 22); None if gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def end_process(state: NodeState, *, patience_seconds: float = 30.0) -> bool:
    """SIGTERM the broker, later SIGKILL; True when it ended. A pid that is no longer ours is left alone."""
    for number, patience in ((signal.SIGTERM, patience_seconds), (signal.SIGKILL, 5.0)):
        deadline = time.monotonic() + patience
        if not state.is_running():
            return True
        try:
            os.kill(state.pid, number)
        except ProcessLookupError:
            return True
        while state.is_running() and time.monotonic() < deadline:
            time.sleep(0.05)
    return not state.is_running()
