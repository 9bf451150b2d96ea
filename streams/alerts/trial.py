"""What rules would have done on a recorded stream. Partitions know nothing of each other, so each process has some."""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Final

import msgspec

from graph import Event, Watermark
from graph.errors import UserError
from streams.alerts.outcomes import AlertOutcome, Outcomes, WithheldPost
from streams.alerts.records import AlertRecord
from streams.alerts.rules import RuleSet
from streams.engine.forecast_file import BATCH_EVENTS, DRAIN_SECONDS, FileRun, RunCounts
from streams.engine.inference import load_service
from streams.kafka.partitioner import partition_of
from streams.settings import Settings

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

BATCHES_AHEAD: Final = 16
"""Batches that a process may lag behind: the file is read no faster than forecasts are made."""

OBJECTS_BETWEEN_COLLECTIONS: Final = 100_000
"""Next to nothing here is garbage in a cycle, and looking for it through a million live objects takes a tenth of the
time."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Event] | float).decode


class TrialPart(msgspec.Struct):
    """What came of some partitions."""

    alerts: list[AlertOutcome] = []
    withheld: list[WithheldPost] = []
    records: list[AlertRecord] = []
    made: int = 0  # forecasts
    unasked: int = 0  # forecasts that were due, and left out since no rule could have made anything of them


def try_rules(
    events: Iterable[Event],
    settings: Settings,
    rules: RuleSet,
    jobs: int,
    progress: Callable[[int], None] = lambda events: None,
) -> TrialPart:
    """Play events, in order of time, to the engine; the same alerts whatever the number of ``jobs``.

    Raises `UserError` for models that cannot be loaded, or when a process dies.
    """
    jobs = max(1, min(jobs, settings.partitions))
    parts: Sequence[_InProcess | _OtherProcess]
    parts = [_InProcess(settings, rules)] if jobs == 1 else _processes(settings, rules, jobs)
    try:
        end = _play(events, settings, parts, progress)
        return _joined([part.finish(end) for part in parts])
    finally:
        for part in parts:
            part.close()


def _play(
    events: Iterable[Event],
    settings: Settings,
    parts: Sequence[_InProcess | _OtherProcess],
    progress: Callable[[int], None],
) -> float:
    source = iter(events)
    clock = Watermark(settings.allowed_lateness_seconds, settings.max_jump_seconds)
    place: dict[str, int] = {}
    while batch := list(islice(source, BATCH_EVENTS)):
        shares: list[list[Event]] = [[] for _ in parts]
        for event in batch:
            clock.observe(event.time, event.cascade)
            number = place.get(event.cascade)
            if number is None:
                number = place[event.cascade] = partition_of(event.cascade, settings.partitions) % len(parts)
            shares[number].append(event)
        for part, share in zip(parts, shares, strict=True):
            part.send(share)
        progress(len(batch))
    return clock.end_of_input() + max(DRAIN_SECONDS, settings.forecast_delay_seconds)


def _joined(parts: list[TrialPart]) -> TrialPart:
    joined = TrialPart(made=sum(part.made for part in parts), unasked=sum(part.unasked for part in parts))
    joined.alerts = sorted(
        (one for part in parts for one in part.alerts), key=lambda one: (one.opened_as_of, one.cascade, one.rule)
    )
    joined.withheld = sorted(
        (one for part in parts for one in part.withheld), key=lambda one: (one.as_of, one.cascade, one.rule)
    )
    joined.records = sorted(
        (one for part in parts for one in part.records), key=lambda one: (one.as_of, one.cascade, one.rule, one.state)
    )
    return joined


class _InProcess:
    """Partitions of this process."""

    def __init__(self, settings: Settings, rules: RuleSet, numbers: Iterable[int] | None = None) -> None:
        self._counts = RunCounts()
        self._outcomes = Outcomes(settings.horizon_seconds)
        service = load_service(settings)
        self._run = FileRun(
            settings, service, self._counts, rules=rules, on_alert=self._outcomes.note, numbers=numbers,
            on_departed=self._outcomes.settle, for_alerts=True,
        )  # fmt: skip
        for partition in self._run.partitions.values():
            partition.alerts.on_withheld = self._outcomes.note_withheld

    def send(self, events: list[Event]) -> None:
        self._run.apply(events)
        self._forecast()

    def finish(self, end: float) -> TrialPart:
        self._run.end_at(end)
        self._forecast()
        for partition in self._run.partitions.values():
            self._outcomes.settle(partition.store, partition.watermark.value)
        outcomes = self._outcomes
        unasked = sum(partition.unasked for partition in self._run.partitions.values())
        return TrialPart(outcomes.alerts(), outcomes.withheld, outcomes.records, self._counts.made, unasked)

    def close(self) -> None:
        """Nothing is to be closed."""

    def _forecast(self) -> None:
        for _ in self._run.forecast_due():
            pass


class _OtherProcess:
    """Partitions of another process."""

    def __init__(self, settings: Settings, rules: RuleSet, numbers: list[int]) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process: SpawnProcess = context.Process(target=_serve, args=(theirs, settings, rules, numbers))
        self._process.start()
        theirs.close()
        self._ahead = 0

    def send(self, events: list[Event]) -> None:
        while self._ahead >= BATCHES_AHEAD:
            self._receive()
            self._ahead -= 1
        self._try(lambda: self._pipe.send_bytes(_encode(events)))
        self._ahead += 1

    def finish(self, end: float) -> TrialPart:
        for _ in range(self._ahead):
            self._receive()
        self._try(lambda: self._pipe.send_bytes(_encode(end)))
        return msgspec.msgpack.decode(self._receive(), type=TrialPart)

    def close(self) -> None:
        self._pipe.close()
        self._process.join(1.0)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _receive(self) -> bytes:
        answer: list[bytes] = []
        self._try(lambda: answer.append(self._pipe.recv_bytes()))
        if answer[0][:1] == b"!":
            raise UserError(answer[0][1:].decode())
        return answer[0][1:]

    def _try(self, act: Callable[[], None]) -> None:
        try:
            act()
        except (EOFError, OSError):
            self._process.join(5.0)
            raise UserError(
                f"a process of the trial ended with {self._process.exitcode}; --jobs 1 shows why, or needs less memory"
            ) from None


def _processes(settings: Settings, rules: RuleSet, jobs: int) -> list[_OtherProcess]:
    return [
        _OtherProcess(settings, rules, [number for number in range(settings.partitions) if number % jobs == job])
        for job in range(jobs)
    ]


def _serve(pipe: Connection, settings: Settings, rules: RuleSet, numbers: list[int]) -> None:
    """The other process: an answer for each batch, the result in the end."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        part = _InProcess(settings, rules, numbers)
        gc.freeze()  # the models and their libraries stay as long as the process
        gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
        while True:
            message = _decode(pipe.recv_bytes())
            if isinstance(message, float):  # the event time at which the stream ends
                pipe.send_bytes(b"=" + _encode(part.finish(message)))
                return
            part.send(message)
            pipe.send_bytes(b"=")
    except UserError as error:
        pipe.send_bytes(b"!" + str(error).encode())
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        return  # nobody waits for it
