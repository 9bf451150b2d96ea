"""Where a worker's processor time goes, by stage: py-spy looks at its stacks some hundred times a second."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Final, Self

SAMPLES_A_SECOND: Final = 200
PROFILE_SECONDS: Final = 4

STAGES: Final = (
    # The first that is found in any frame, from the innermost out. Frames read "function (path:line)".
    ("infer", ("forecasters/", "ForecastService.")),
    ("prepare", ("Forecasting._collect", "Partition.take_due", "give_to_learners")),
    ("decode", ("decode_batch", "decode_event")),
    ("apply", ("Partition.apply_records",)),
    ("changelog", ("SegmentLog.", "TableSegmentStore.")),
    ("publish", ("Publication.", "aiokafka/producer", "FaustPublisher.")),
    ("fetch", ("aiokafka/consumer", "streams/worker/batched_transport", "_add_agent.<locals>.ingest", "_record (")),
)
OTHER: Final = "framework and the rest"

_WAITING: Final = ("select (", "wait (", "_worker (", "EpollSelector.select", "Condition.wait", "get (queue")


class Profile:
    """Looks at a process for `PROFILE_SECONDS` in the background; without py-spy it sees nothing."""

    def __init__(self, pid: int, directory: Path) -> None:
        self._stacks = directory / "stacks"
        command = [str(Path(sys.executable).with_name("py-spy")), "record", "--pid", str(pid), "--nonblocking"]
        command += ["--rate", str(SAMPLES_A_SECOND), "--duration", str(PROFILE_SECONDS), "--format", "raw"]
        try:
            self._spy: subprocess.Popen[bytes] | None = subprocess.Popen(
                [*command, "--output", str(self._stacks)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        except FileNotFoundError:
            self._spy = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._spy is not None:
            if error is not None:
                self._spy.terminate()
            self._spy.wait()

    def shares(self) -> dict[str, float]:
        """Of the time in which a thread worked, by stage; empty where nothing was seen."""
        return shares_of(self._stacks.read_text().splitlines()) if self._stacks.exists() else {}


def shares_of(lines: list[str]) -> dict[str, float]:
    """From stacks as py-spy writes them raw: frames from the outermost in, and how often each stack was seen."""
    seen: Counter[str] = Counter()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        if not frames[-1].startswith(_WAITING):
            seen[_stage(frames)] += int(count)
    return {stage: count / seen.total() for stage, count in seen.most_common()}


def _stage(frames: list[str]) -> str:
    for frame in reversed(frames):
        for stage, marks in STAGES:
            if any(mark in frame for mark in marks):
                return stage
    return OTHER
