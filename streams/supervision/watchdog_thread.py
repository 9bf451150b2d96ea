"""The watchdog at work: a thread of its own that looks at the worker, tells systemd, and ends what is beyond help."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import structlog

from streams.kafka.event_ends import EventEnds
from streams.supervision.stack_dump import task_stacks, thread_stacks
from streams.supervision.systemd import notify
from streams.supervision.watchdog import TICK_SECONDS, Judge, Limits, Observation, Stuck
from streams.worker.core import WorkerCore

log = structlog.get_logger("cascadecast.watchdog")

EXIT_STALLED: Final = 71
"""The worker did not proceed; an orchestrator restarts it, and it recovers."""

ENDS_SECONDS: Final = 10.0
"""Between two questions to Kafka where its partitions end."""

DEAD_AFTER_SECONDS: Final = 30.0
"""Without a look for so long the watchdog itself is in doubt."""


class Watchdog:
    """Looks at a worker once a second from `start` to `stop`."""

    def __init__(
        self,
        core: WorkerCore,
        stage: Callable[[], tuple[object, ...]],
        ends: EventEnds,
        limits: Limits,
        *,
        holds_input_back: bool,
        leave: Callable[[int], Any] = os._exit,
    ) -> None:
        """``stage`` tells where a recovery is, in values that change as it proceeds; ``holds_input_back``: input waits
        for forecasts, so that their progress is the input's."""
        self._core = core
        self._stage = stage
        self._ends = ends
        self._judge = Judge(limits)
        self._holds_input_back = holds_input_back
        self._leave = leave
        self._loop: asyncio.AbstractEventLoop | None = None
        self._answered_at = time.monotonic()
        self._looked_at = self._answered_at
        self._loop_delay = 0.0
        self._asked_at = -ENDS_SECONDS
        self._end_of: Mapping[int, int] | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Watch the loop and the worker that runs on it."""
        self._loop = loop
        self._answered_at = time.monotonic()
        self._thread.start()
        notify("READY=1")

    def stop(self) -> None:
        """The worker is about to end, within a time of its own."""
        self._stopped.set()
        notify("STOPPING=1")

    def page(self) -> dict[str, object]:
        """What ``/healthz`` shows."""
        alive = self._stopped.is_set() or time.monotonic() - self._looked_at < DEAD_AFTER_SECONDS
        return {
            "status": "ok" if alive else "watchdog dead",
            "loop_delay_seconds": round(self._loop_delay, 1),
            "quiet_seconds": round(self._judge.quiet_seconds(), 1),
        }

    def _run(self) -> None:
        while not self._stopped.wait(TICK_SECONDS):
            try:
                seen = self._observe()
                stuck = self._judge.look(seen)
            except RuntimeError:  # the worker's collections changed under our eyes: look again
                continue
            self._loop_delay = self._judge.loop_delay_seconds(seen)
            self._looked_at = time.monotonic()
            if stuck is not None and not self._is_excused(stuck):
                self._end(stuck)
                return
            notify("WATCHDOG=1")

    def _observe(self) -> Observation:
        assert self._loop is not None
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._answer)
        if time.monotonic() - self._asked_at >= ENDS_SECONDS:
            self._end_of = self._ends.of(sorted(self._core.assigned) or [0])
            self._asked_at = time.monotonic()
        work = dict(self._work(self._end_of or {}))
        return Observation(time.monotonic(), self._answered_at, self._end_of is not None, work)

    def _answer(self) -> None:
        self._answered_at = time.monotonic()

    def _work(self, end_of: Mapping[int, int]) -> Iterable[tuple[str, tuple[object, ...]]]:
        core = self._core
        if not core.ready:
            yield "recovery", (*self._stage(), *core.recovered_so_far())
            return
        forecasts = (core.rounds_done, sum(one.partition.due_total for one in list(core.assigned.values())))
        if core.is_forecasting():
            yield "forecasts", forecasts
        for number, one in list(core.assigned.items()):
            if end_of.get(number, 0) > one.flow.position:
                yield _input(number), (one.flow.position, *(forecasts if self._holds_input_back else ()))

    def _is_excused(self, stuck: Stuck) -> bool:
        """A partition may end in marks of transactions: offsets without records, which nobody can read."""
        for number, one in list(self._core.assigned.items()):
            if stuck.work == _input(number) and self._ends.first_from(number, one.flow.position) is None:
                self._judge.forgive(stuck.work)
                return True
        return False

    def _end(self, stuck: Stuck) -> None:
        log.critical("the worker is stuck and exits; its restart recovers", reason=stuck.why, **self._positions())
        assert self._loop is not None
        stacks = "\n".join([*thread_stacks(), *task_stacks(self._loop)])
        dump = f"--- watchdog: {stuck.why}\n{stacks}\n--- end of the watchdog's dump"
        print(dump, file=sys.__stderr__, flush=True)  # the framework makes log lines of sys.stderr
        self._leave(EXIT_STALLED)

    def _positions(self) -> dict[str, object]:
        core, ends = self._core, self._end_of or {}
        positions = {number: one.flow.position for number, one in list(core.assigned.items())}
        return {
            "ready": core.ready,
            "stage": [str(part) for part in self._stage()],
            "positions": positions,
            "lag": {number: ends[number] - at for number, at in positions.items() if number in ends},
            "forecasts_waiting": core.backlog(),
        }


def _input(number: int) -> str:
    return f"events of partition {number}"
