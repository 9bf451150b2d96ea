"""One run: a broker behind a proxy, workers, a replay, and the faults of a schedule while they work."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from confluent_kafka import KafkaException

from tests.integration.chaos.broker import ChaosBroker
from tests.integration.chaos.fleet import Fleet, Member, ReplayProcess
from tests.integration.chaos.misrouting import Misrouting
from tests.integration.chaos.proxy import Proxy
from tests.integration.chaos.schedule import SESSION_SECONDS, Fault, Schedule
from tests.integration.chaos.stream import ChaosStream
from tests.integration.harness import Stream

PREFIX: Final = "chaos"
STEP_SECONDS: Final = 0.05
REST_SECONDS: Final = 1.5
"""At rest twice, so far apart: a worker that has just recovered has nothing due yet to the eye."""


class NotSettledError(AssertionError):
    """The installation did not come to rest in time."""


class Installation:
    """Everything of one run, in one directory; leaves no process and no port behind."""

    def __init__(self, directory: Path, stream: ChaosStream, settings: dict[str, str], seed: int) -> None:
        self._directory = directory
        self._chaos = stream
        self._settings = settings
        self._seed = seed
        self._stack = ExitStack()
        self._ends: list[tuple[float, int, Callable[[], None]]] = []
        self._ends_added = itertools.count()
        self._broker_start: threading.Thread | None = None
        self.struck: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.broker = ChaosBroker(self._directory / "kafka")
            stack.callback(self.broker.stop)
            self.broker.start()
            self.proxy = stack.enter_context(Proxy(self.broker.proxied_port, self.broker.listener_port))
            own = {"BOOTSTRAP_SERVERS": self.broker.proxied_servers, "SESSION_TIMEOUT_SECONDS": f"{SESSION_SECONDS:g}"}
            self.stream = Stream(self.broker.bootstrap_servers, PREFIX, self._settings | own).create()
            self.fleet = Fleet(self.stream, self._directory)
            stack.callback(self.fleet.end)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def run(self, schedule: Schedule, replay_seconds: float, settle_seconds: float) -> float:
        """Play the stream under the faults until everything rests, then stop the workers; the seconds it took.

        Raises NotSettledError when it does not come to rest.
        """
        lines = self._chaos.write(self._directory / "lines.jsonl")
        replay = ReplayProcess(lines, self.broker.proxied_servers, PREFIX, self._chaos.span_seconds / replay_seconds)
        self._stack.callback(replay.end)
        wrong = Misrouting(self.broker.bootstrap_servers, PREFIX, self._chaos, self._seed)
        self.fleet.scale(schedule.workers)
        began = time.monotonic()
        waiting = list(schedule.faults)
        rested: float | None = None
        while True:
            now = time.monotonic() - began
            while self._ends and self._ends[0][0] <= now:
                heapq.heappop(self._ends)[-1]()
            while waiting and waiting[0].at_seconds <= now:
                self._strike(waiting.pop(0), replay, now)
            self.fleet.supervise()
            replay.supervise()
            wrong.send_lots(replay.position["acknowledged"])
            if not waiting and not self._ends and replay.is_complete() and self._broker_is_up():
                wrong.finish()
                rested = (rested or now) if self._at_rest() else None
                if rested is not None and now - rested >= REST_SECONDS:
                    break
            if now > settle_seconds:
                told = {member.log_path.stem: member.told() for member in self.fleet.members if member.wanted}
                raise NotSettledError(f"not at rest after {now:.0f} s: committed, end {self._progress()}; {told}")
            time.sleep(STEP_SECONDS)
        codes = self.fleet.stop(60.0)
        if any(codes):
            raise NotSettledError(f"workers at rest were told to stop and ended with {codes}")
        return time.monotonic() - began

    def _at_rest(self) -> bool:
        try:
            return self.fleet.at_rest()
        except (OSError, KeyError, ValueError, KafkaException):
            return False

    def _progress(self) -> Any:
        try:
            return self.stream.progress()
        except KafkaException as error:
            return str(error)

    def _broker_is_up(self) -> bool:
        starting = self._broker_start is not None and self._broker_start.is_alive()
        return self.broker.is_running() and not starting

    def _strike(self, fault: Fault, replay: ReplayProcess, now: float) -> None:
        running = self.fleet.running()
        member = running[int(fault.pick * len(running))] if running else None
        end = self._begin(fault, member, replay)
        told = {name: value for name, value in asdict(fault).items() if value and name != "pick"}
        told |= {"worker": member.log_path.stem} if member is not None and "worker" in fault.kind else {}
        self.struck.append(told | {"struck": end is not None})
        if end is not None:
            heapq.heappush(self._ends, (now + fault.seconds, next(self._ends_added), end))

    def _begin(self, fault: Fault, member: Member | None, replay: ReplayProcess) -> Callable[[], None] | None:
        """Begin a fault; what ends it, or None where there was nothing to strike."""
        kind = fault.kind
        if kind == "scale":
            self.fleet.scale(fault.workers)
            return lambda: None
        if kind == "kill replay":
            return (lambda: None) if replay.kill(fault.seconds) else None
        if kind.endswith("connections"):
            {"reset": self.proxy.reset, "stall": self.proxy.stall, "refuse": self.proxy.refuse}[kind.split()[0]]()
            return self.proxy.resume
        if kind.endswith("broker"):
            return self._begin_at_broker(kind) if self._broker_is_up() else None
        return self._begin_at_worker(fault, member) if member is not None else None

    def _begin_at_broker(self, kind: str) -> Callable[[], None]:
        if kind == "pause broker":
            self.broker.pause()
            return self.broker.resume
        self.broker.kill()
        return self._start_broker

    def _start_broker(self) -> None:
        """In a thread: other faults go on meanwhile."""
        self._broker_start = threading.Thread(target=self.broker.start, name="broker start")
        self._broker_start.start()
        self._stack.callback(self._broker_start.join)

    def _begin_at_worker(self, fault: Fault, member: Member) -> Callable[[], None]:
        match fault.kind:
            case "pause worker" | "zombie worker":
                member.pause()
                return member.resume
            case "fill disk":
                member.fill_disk()
                return member.empty_disk
            case "stop worker":
                self.fleet.restart_cleanly(member)
            case _:
                self.fleet.kill(member, fault.seconds, wipe=fault.kind == "wipe worker")
        return lambda: None
