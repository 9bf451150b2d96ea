"""How fast a worker, or a program that users would write instead, takes in a topic that was loaded in advance."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import streams
from graph.errors import UserError
from streams.bench.installation import BenchWorker
from streams.bench.pinning import Cores, on

RECEIVED: Final = "cascadecast_events_received_total"
"""Counted once a batch is durable."""

FIRST_SHARE: Final = 0.1
"""Of the records, before the clock starts: no start of a process is measured."""

REFERENCE_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class Throughput:
    """So many events in so much wall time and processor time; the most memory that was resident."""

    events: float
    seconds: float
    processor_seconds: float
    peak_bytes: float

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.seconds

    @property
    def processor_rate(self) -> float:
        """Events a second of processor time: the same however busy the machine is with other work."""
        return self.events / self.processor_seconds


def worker_throughput(worker: BenchWorker, records: int) -> Throughput:
    """From the first tenth of the records to the last one's durable state. The worker has been started."""
    worker.wait_until(lambda: worker.metric(RECEIVED) >= FIRST_SHARE * records, "under way")
    first, began, used = worker.metric(RECEIVED), time.monotonic(), worker.processor_seconds()
    worker.wait_until(lambda: worker.metric(RECEIVED) >= records, "done")
    return Throughput(
        records - first, time.monotonic() - began, worker.processor_seconds() - used, worker.peak_memory_bytes()
    )


def reference_throughput(
    program: str, arguments: Sequence[str], cores: Cores, python: str = sys.executable
) -> Throughput | None:
    """Of a module of ``streams.bench.references``; None where a package it needs is not installed.

    ``python`` is that of its environment. Raises UserError when it fails otherwise.
    """
    command = [python, "-P", "-m", f"streams.bench.references.{program}", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(Path(streams.__file__).parents[1])}
    with on(cores.measured):
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=REFERENCE_SECONDS, check=False, env=environment
        )
    told = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not told:
        if "ModuleNotFoundError" in done.stderr:
            return None
        raise UserError(f"the reference {program} failed: {done.stderr.strip()[-500:]}")
    return Throughput(**json.loads(told[-1]))


def started(worker: BenchWorker, cores: Cores) -> BenchWorker:
    """The worker, started on the core that is measured."""
    with on(cores.measured):
        return worker.start()


Tell = Callable[[str], None]


def scratch(directory: Path, name: str) -> Path:
    """A directory of its own for one worker or program."""
    made = directory / name
    made.mkdir()
    return made
