"""Heartbeats go the whole way of an event, say when they have arrived, and change nothing on it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest
import pytest_asyncio
from aiokafka.errors import KafkaTimeoutError, TopicAuthorizationFailedError
from faust.exceptions import ProducerSendError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from graph import Event
from streams.engine.inference import ForecastService
from streams.engine.partition import Partition
from streams.engine.raw_record import Record
from streams.kafka.control_records import HEARTBEAT_HEADER, WATERMARK_HEADER, heartbeat_headers, read_control
from streams.metrics import WorkerMetrics
from streams.settings import Settings
from streams.state.log import SegmentLog
from streams.state.store import MemorySegmentStore
from streams.worker.core import WorkerCore
from streams.worker.heartbeat import GIVEN_UP_SECONDS, HeartbeatMetrics, Heartbeats
from streams.worker.outputs import DirectOutputs
from tests.streams.conftest import Doubling, cascade_events, random_stream
from tests.streams.worker_rig import Outbox, Tape, value

ENGINE = Settings(
    models=("doubling",), allowed_lateness_seconds=0, forecast_delay_seconds=60, inference_batch=8,
    drain_timeout_seconds=2.0,  # some tests leave forecasts due that nobody makes
)  # fmt: skip


def recorded(events: list[Event], offset: int = 0, broker_time: float = 0.0) -> list[Record]:
    return [
        Record(msgspec.json.encode(event), event.cascade.encode(), None, offset + at, broker_time)
        for at, event in enumerate(events)
    ]


class Noting(DirectOutputs):
    """Keeps what is noted."""

    def __init__(self, outbox: Outbox) -> None:
        super().__init__(outbox)
        self.noted: list[float] = []

    async def note(self, partition: int, forecasts_before: float) -> None:
        self.noted.append(forecasts_before)


HEARTBEAT_BROKER_TIME = 5.0
"""Events have 0: what is told of their times must not be that of a heartbeat."""


class Way:
    """A worker of partition 0 and the topic before it: what is sent lies there until it is taken."""

    def __init__(self) -> None:
        self.lying: list[bytes] = []
        self.taken = 0
        self.refusal: Exception | None = None
        self.now = 100.0
        self.metrics = WorkerMetrics()
        self.outbox = Outbox()
        self.outputs = Noting(self.outbox)
        self.store = MemorySegmentStore()
        self.heartbeats = Heartbeats(self.send, self.metrics.heartbeat, lambda: self.now)
        self.core = WorkerCore(
            ENGINE,
            ForecastService([Doubling()], ENGINE.horizon_seconds),
            self.outbox,
            Tape(),
            lambda number: self.store,
            self.metrics,
            self.outputs,
            heartbeats=self.heartbeats,
        )

    async def send(self, partition: int, token: bytes) -> None:
        await asyncio.sleep(0)
        if self.refusal is not None:
            raise self.refusal
        self.lying.append(token)

    async def beat(self) -> None:
        self.heartbeats.beat([0])
        for _ in range(3):
            await asyncio.sleep(0)

    async def take(self, *events: Event) -> None:
        records = recorded(list(events), self.taken)
        records += [
            Record(b"", None, None, self.taken + len(events) + at, HEARTBEAT_BROKER_TIME, token)
            for at, token in enumerate(self.lying)
        ]
        self.taken, self.lying = self.taken + len(records), []
        await self.core.ingest({0: records}, "social.events")

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30.0):
            while not condition():
                await asyncio.sleep(0.005)

    def count(self, stage: str) -> float:
        return value(self.metrics.registry, "cascadecast_heartbeat_seconds_count", stage=stage)

    def lost(self, reason: str) -> float:
        return value(self.metrics.registry, "cascadecast_heartbeats_lost_total", reason=reason)

    def success(self) -> float | None:
        name = "cascadecast_heartbeat_last_success_timestamp_seconds"
        return self.metrics.registry.get_sample_value(name, {"partition": "0"})


@pytest_asyncio.fixture
async def way() -> AsyncIterator[Way]:
    found = Way()
    await found.core.own({0})
    yield found
    await found.core.drain()


async def test_a_heartbeat_of_a_quiet_partition_arrives_once_it_is_durable(way: Way) -> None:
    forecasting = asyncio.create_task(way.core.run_forecasts())
    begun = way.success()
    assert begun is not None, "before the first it is known since when one is missing"
    await way.beat()
    assert (way.count("acknowledged"), way.count("durable"), way.count("out")) == (1, 0, 0)
    written = len(way.store.segments)
    way.now += 0.25
    await way.take()
    await way.until(lambda: way.count("out") == 1)
    assert len(way.store.segments) == written + 1
    assert value(way.metrics.registry, "cascadecast_heartbeat_seconds_sum", stage="out") == pytest.approx(0.25)
    assert value(way.metrics.registry, "cascadecast_events_total", fate="heartbeat") == 1
    assert (way.success() or 0.0) >= begun
    await way.core.drain()
    await forecasting


async def test_it_has_arrived_when_what_was_due_before_it_is_out(way: Way) -> None:
    await way.take(*cascade_events("c", 1000.0, [float(n) for n in range(40)]), *cascade_events("d", 1600.0, []))
    await way.beat()
    await way.take()
    assert way.count("durable") == 1
    assert way.core.assigned[0].partition.has_due()
    await way.core._publication.see_heartbeats_out()
    assert way.count("out") == 0, "forecasts that were due when it was taken in are still to be made"
    forecasting = asyncio.create_task(way.core.run_forecasts())
    await way.until(lambda: way.count("out") == 1)
    assert len(way.outbox.forecasts()) >= 1
    await way.core.drain()
    await forecasting


async def test_what_is_noted_of_outputs_is_no_later_than_what_the_state_knows(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_700_000_000.0
    monkeypatch.setattr("time.time", lambda: now)
    await way.take(*cascade_events("live", now, []))
    await way.beat()
    await way.take()
    recovered = Partition(0, ENGINE)
    SegmentLog(way.store).load(recovered)
    now += ENGINE.idle_after_seconds + 100
    await way.core.tick()
    assert way.core.assigned[0].partition.watermark.value == now
    await way.core._publication.see_heartbeats_out()
    again = Partition(0, ENGINE)
    SegmentLog(way.store).load(again)
    assert way.count("out") == 1
    assert way.outputs.noted == [recovered.watermark.value]
    assert way.outputs.noted[0] <= again.watermark.value


async def test_of_each_partition_one_is_on_its_way_at_a_time_and_one_that_is_lost_is_given_up(way: Way) -> None:
    await way.beat()
    way.now += GIVEN_UP_SECONDS - 1
    await way.beat()
    assert len(way.lying) == 1
    way.now += 1
    await way.beat()
    assert (len(way.lying), way.lost("unanswered")) == (2, 1)
    await way.take()
    await way.core._publication.see_heartbeats_out()
    assert way.count("out") == 1, "the one that was given up counts no more"


async def test_one_of_another_worker_is_passed_over(way: Way) -> None:
    other = Way()
    other.heartbeats.beat([0])
    await asyncio.sleep(0.01)
    way.lying = other.lying
    await way.take()
    await way.core._publication.see_heartbeats_out()
    assert (way.count("durable"), way.count("out")) == (0, 0)


async def test_a_partition_that_is_let_go_has_none(way: Way) -> None:
    await way.beat()
    await way.core.disown(0)
    assert way.success() is None
    await way.core.own({0})
    await way.take()
    await way.core._publication.see_heartbeats_out()
    assert way.count("out") == 0


@pytest.mark.parametrize("wrapped", [False, True])
async def test_without_the_right_to_write_there_are_none_and_nothing_is_missing(way: Way, wrapped: bool) -> None:
    way.refusal = TopicAuthorizationFailedError("social.events")
    if wrapped:
        refused, way.refusal = way.refusal, ProducerSendError("Error while sending")
        way.refusal.__cause__ = refused
    await way.beat()
    assert (way.lost("refused"), way.success()) == (1, None)
    way.refusal = None
    await way.beat()
    assert way.lying == []
    await way.take(*cascade_events("c", 1000.0, [1.0]))
    assert value(way.metrics.registry, "cascadecast_events_total", fate="applied") == 2


async def test_one_that_kafka_does_not_take_is_followed_by_another(way: Way) -> None:
    way.refusal = KafkaTimeoutError()
    await way.beat()
    assert way.lost("unsent") == 1
    way.refusal = None
    await way.beat()
    assert len(way.lying) == 1


async def test_heartbeats_end_no_idleness(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_700_000_000.0
    monkeypatch.setattr("time.time", lambda: now)
    await way.take(*cascade_events("live", now - 10, [5.0]))
    for _ in range(60):
        now += ENGINE.idle_after_seconds / 3
        way.lying.append(b"any worker's")
        await way.take()
        await way.core.tick()
    assert value(way.metrics.registry, "cascadecast_events_total", fate="heartbeat") == 60
    assert way.core.assigned[0].live
    assert way.core.assigned[0].partition.watermark.value == now
    assert value(way.metrics.registry, "cascadecast_last_event_timestamp_seconds", partition="0") == 0.0


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 1000), places=st.lists(st.integers(0, 400), max_size=30), cut=st.integers(1, 80))
def test_wherever_they_stand_state_and_forecasts_are_the_same(seed: int, places: list[int], cut: int) -> None:
    records = recorded(random_stream(seed, cascades=15))
    among = list(records)
    for place in places:
        among.insert(min(place, len(among)), Record(b"", None, None, 0, 0.0, b"somebody 1"))
    among = [msgspec.structs.replace(record, offset=at) for at, record in enumerate(among)]
    plain, beaten = engine(records, cut), engine(among, cut)
    assert plain == beaten


def engine(records: list[Record], cut: int) -> object:
    """What comes of records in batches of ``cut``: forecasts due, and all that a recovery finds."""
    partition, store = Partition(0, ENGINE), MemorySegmentStore()
    log = SegmentLog(store)
    due: list[tuple[str, float, int, str]] = []

    async def play() -> None:
        await log.recover(partition)
        for start in range(0, len(records), cut):
            batch = records[start : start + cut]
            await log.append(partition, partition.apply_records(batch, check_keys=True), batch[-1].offset + 1)
            while taken := partition.take_due(50):
                for one in taken:
                    due.append((one.cascade, one.as_of, one.view.size, one.event))
                    partition.published(one)

    asyncio.run(play())
    again = Partition(0, ENGINE)
    SegmentLog(store).load(again)
    cascades = {cascade.id: (cascade.size, cascade.depth, cascade.last_time) for cascade in again.store}
    clock = (again.watermark.value, again.watermark.evidence())
    return sorted(due), cascades, clock, partition.skipped, partition.due_total


def test_a_reader_that_knows_only_marks_of_time_finds_one_that_moves_no_clock() -> None:
    (name, mark), (own, _) = heartbeat_headers(b"worker 1")
    assert (name, own) == (WATERMARK_HEADER, HEARTBEAT_HEADER)
    assert read_control([(name, mark)]).watermark == 0.0
    partition = Partition(0, ENGINE)
    partition.apply_records(recorded(cascade_events("c", 1000.0, [float(n) for n in range(40)])), check_keys=True)
    before = partition.watermark.value
    partition.apply_records([Record(b"", None, 0.0)], check_keys=True)
    assert partition.watermark.value == before


@pytest.mark.parametrize("mark", [b"", b"now", b"\xff", None])
def test_a_mark_that_is_no_number_is_none(mark: bytes | None) -> None:
    assert read_control([(WATERMARK_HEADER, mark)]) == (None, None)


def test_what_has_a_value_is_no_heartbeat() -> None:
    (event,) = cascade_events("c", 1000.0, [])
    record = Record(msgspec.json.encode(event), b"c", None, 0, 0.0, b"worker 1")
    changes = Partition(0, ENGINE).apply_records([record], check_keys=True)
    assert (dict(changes.fates), changes.heartbeats) == ({"applied": 1}, [])


def test_none_are_told_of_before_they_begin() -> None:
    registry = CollectorRegistry()
    heartbeats = Heartbeats(Way().send, HeartbeatMetrics(registry))
    assert heartbeats.at_the_end(0, lambda: math.inf) is None
    assert value(registry, "cascadecast_heartbeats_lost_total", reason="refused") == 0
