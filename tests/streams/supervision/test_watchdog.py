"""The watchdog ends a worker that is stuck, says what it was doing, and leaves alone one that waits for good reason."""

from __future__ import annotations

import asyncio
import io
import socket
import threading
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.engine.raw_record import Record
from streams.settings import Settings
from streams.supervision.stack_dump import task_stacks, thread_stacks
from streams.supervision.systemd import notify
from streams.supervision.watchdog import PAUSE_SECONDS, Judge, Limits, Observation
from streams.supervision.watchdog_thread import EXIT_STALLED, Watchdog
from tests.streams.conftest import random_stream
from tests.streams.worker_rig import Rig

LIMITS = Limits(loop_seconds=60.0, stall_seconds=300.0)


def watch(seen: Iterator[Observation]) -> tuple[float, str] | None:
    """When something was found to be stuck, and what."""
    judge = Judge(LIMITS)
    return next(((one.at, stuck.why) for one in seen if (stuck := judge.look(one)) is not None), None)


def seconds(until: int, start: int = 0) -> Iterator[float]:
    return (float(n) for n in range(start, until))


def test_a_loop_that_does_not_answer_is_found() -> None:
    found = watch(Observation(at, min(at, 100.0), True) for at in seconds(1000))
    assert found == (161.0, "the event loop has not answered for 61 s")


def test_a_loop_that_does_not_answer_is_found_whether_kafka_answers_or_not() -> None:
    assert watch(Observation(at, min(at, 100.0), False) for at in seconds(1000)) is not None


def test_work_that_does_not_proceed_is_found_though_other_work_does() -> None:
    work = ({"events of partition 0": at, "events of partition 1": min(at, 50.0)} for at in seconds(1000))
    found = watch(Observation(at, at, True, state) for at, state in zip(seconds(1000), work, strict=True))
    assert found == (351.0, "events of partition 1: no progress for 301 s")


def test_work_that_is_done_is_no_stall() -> None:
    def work(at: float) -> Mapping[str, float]:
        return {"forecasts": 1.0} if at % 250 < 200 else {}

    assert watch(Observation(at, at, True, work(at)) for at in seconds(3000)) is None


def test_a_kafka_that_does_not_answer_is_waited_for() -> None:
    assert watch(Observation(at, at, False, {"recovery": 0}) for at in seconds(5000)) is None
    away = (not 100 < at < 4000 for at in seconds(4200))
    assert watch(Observation(at, at, up, {"recovery": 0}) for at, up in zip(seconds(4200), away, strict=True)) is None


def test_a_process_that_was_stopped_gets_its_time_anew() -> None:
    """SIGSTOP, a suspended machine: everything is old at once, and nothing is wrong."""
    before = [Observation(at, at, True, {"recovery": 1}) for at in seconds(200)]
    after = [Observation(at, max(199.0, at - 5.0), True, {"recovery": 1}) for at in seconds(3700, 3600)]
    assert watch(iter(before + after)) is None


@given(
    steps=st.lists(st.floats(0.5, PAUSE_SECONDS), min_size=1, max_size=300),
    every=st.floats(1.0, LIMITS.stall_seconds - PAUSE_SECONDS),
)
def test_there_is_no_alarm_while_everything_moves_within_its_time(steps: list[float], every: float) -> None:
    at, seen = 0.0, []
    for step in steps:
        at += step
        seen.append(Observation(at, at - step / 2, True, {"input": int(at / every), "forecasts": at}))
    assert watch(iter(seen)) is None


# --- the thread


@dataclass
class Ends:
    """A Kafka that says what it is told to."""

    end_of: dict[int, int] | None = field(default_factory=dict)
    readable: bool = True

    def of(self, partitions: Sequence[int]) -> Mapping[int, int] | None:
        return self.end_of

    def first_from(self, partition: int, offset: int) -> int | None:
        return offset if self.readable else None


@dataclass
class Watched:
    """A worker core with events, and a watchdog that counts seconds where the real one counts minutes."""

    rig: Rig
    ends: Ends
    left: list[int]
    dog: Watchdog


@pytest.fixture
async def watched(engine_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Watched:
    monkeypatch.setattr("streams.supervision.watchdog_thread.TICK_SECONDS", 0.05)
    monkeypatch.setattr("streams.supervision.watchdog_thread.ENDS_SECONDS", 0.05)
    rig, ends, left = Rig(engine_settings), Ends(), list[int]()
    await rig.core.own({0})
    rig.core.ready = True
    limits = Limits(loop_seconds=0.5, stall_seconds=0.5)
    dog = Watchdog(rig.core, lambda: (), ends, limits, holds_input_back=False, leave=left.append)
    return Watched(rig, ends, left, dog)


async def test_a_blocked_loop_ends_the_worker_with_a_dump_of_where_it_is(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    dump = io.StringIO()
    monkeypatch.setattr("sys.__stderr__", dump)

    class Wrapper:
        def __await__(self) -> Generator[Any, None, None]:
            return waits_for_ever_by_design().__await__()

    async def waits_for_ever_by_design() -> None:
        await asyncio.Event().wait()

    async def through_a_wrapper() -> None:
        await Wrapper()

    waiting = asyncio.create_task(through_a_wrapper())
    await asyncio.sleep(0)
    watched.dog.start(asyncio.get_running_loop())
    time.sleep(1.5)
    assert watched.left == [EXIT_STALLED]
    told = dump.getvalue()
    assert "the event loop has not answered" in told
    assert "time.sleep(1.5)" in told, "the line that blocks"
    assert "waits_for_ever_by_design" in told, "and what else was under way"
    waiting.cancel()


async def test_events_that_are_not_taken_end_the_worker(watched: Watched) -> None:
    watched.ends.end_of = {0: 10}
    watched.dog.start(asyncio.get_running_loop())
    await asyncio.sleep(1.5)
    assert watched.left == [EXIT_STALLED]


async def test_marks_of_transactions_at_a_partitions_end_are_no_events(watched: Watched) -> None:
    watched.ends.end_of, watched.ends.readable = {0: 10}, False
    watched.dog.start(asyncio.get_running_loop())
    await asyncio.sleep(1.5)
    watched.dog.stop()
    assert watched.left == []


async def test_forecasts_that_are_due_and_not_made_end_the_worker(watched: Watched) -> None:
    records = [
        Record(msgspec.json.encode(event), event.cascade.encode(), None, n, 0.0)
        for n, event in enumerate(random_stream(3))
    ]
    await watched.rig.core.ingest({0: records}, "t")
    assert watched.rig.core.is_forecasting(), "nobody makes them"
    watched.dog.start(asyncio.get_running_loop())
    await asyncio.sleep(1.5)
    assert watched.left == [EXIT_STALLED]


async def test_a_worker_at_rest_or_with_kafka_away_goes_on(watched: Watched) -> None:
    watched.dog.start(asyncio.get_running_loop())
    await asyncio.sleep(0.8)
    watched.ends.end_of = None
    await asyncio.sleep(0.8)
    assert watched.left == []
    assert watched.dog.page()["status"] == "ok"
    watched.dog.stop()


def test_the_dump_names_threads_and_shows_no_values() -> None:
    secret = "hunter2"
    release = threading.Event()
    thread = threading.Thread(target=lambda password: release.wait(), args=(secret,), name="a-thread")
    thread.start()
    loop = asyncio.new_event_loop()
    dump = "\n".join([*thread_stacks(), *task_stacks(loop)])
    release.set()
    thread.join()
    loop.close()
    assert "thread a-thread" in dump
    assert "release.wait()" in dump


def test_systemd_hears_that_the_worker_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        notify("WATCHDOG=1")
        assert supervisor.recv(100) == b"WATCHDOG=1"
    notify("READY=1")  # a supervisor that is gone is no fault of ours
