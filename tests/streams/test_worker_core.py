"""The worker's work, without Kafka: what goes in is made durable, what is due comes out, and the counts add up."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections import Counter
from collections.abc import Sequence

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from graph import Event, Kind
from streams.alerts.rules import RuleBook
from streams.forecast_file import RunCounts, forecast_events
from streams.inference import ForecastService
from streams.intake import PACED_EVENTS
from streams.metrics import WorkerMetrics
from streams.murmur2 import partition_of
from streams.outputs import Message, Output, SupersededError
from streams.partition import Record
from streams.progress import Progress
from streams.segment_store import MemorySegmentStore
from streams.settings import Settings
from streams.worker import WorkerCore
from tests.streams.conftest import Doubling, cascade_events, random_stream


class Outbox:
    """Keeps what is published; may be told to fail."""

    def __init__(self) -> None:
        self.sent: dict[str, list[Message]] = {}
        self.patience = math.inf  # so many publications are taken, then none

    async def publish(self, topic: str, messages: Sequence[Message]) -> None:
        await asyncio.sleep(0)
        self.patience -= 1
        if self.patience < 0:
            raise ConnectionError("broker gone")
        self.sent.setdefault(topic, []).extend(messages)

    def forecasts(self) -> list[dict[str, object]]:
        return [json.loads(value) for _, value, _ in self.sent.get("forecasts", [])]


class Tape:
    """A source that remembers what was asked of it."""

    def __init__(self) -> None:
        self.first = 0
        self.rewinds: list[tuple[int, int]] = []
        self.ends: dict[int, int] = {}

    async def earliest(self, partition: int) -> int:
        return self.first

    async def rewind(self, partition: int, offset: int) -> None:
        self.rewinds.append((partition, offset))

    async def end(self, partition: int) -> int | None:
        return self.ends.get(partition)

    def last_known_end(self, partition: int) -> int | None:
        return self.ends.get(partition)


class Rig:
    """A worker core over stores in memory."""

    def __init__(
        self, settings: Settings, service: ForecastService | None = None, outputs: Notes | None = None
    ) -> None:
        self.outbox = Outbox()
        self.outputs = outputs
        self.tape = Tape()
        self.offsets: Counter[int] = Counter()
        self.stores: dict[int, MemorySegmentStore] = {}
        self.metrics = WorkerMetrics()
        self.service = service or ForecastService([Doubling()], settings.horizon_seconds)
        self.rules = RuleBook()
        self.core = WorkerCore(
            settings,
            self.service,
            self.outbox,
            self.tape,
            lambda number: self.stores.setdefault(number, MemorySegmentStore()),
            self.metrics,
            outputs,
            self.rules,
        )

    def next_offset(self, partition: int) -> int:
        self.offsets[partition] += 1
        return self.offsets[partition] - 1

    async def play(self, events: Sequence[Event], partitions: int, batch: int = 50, end: float | None = None) -> None:
        forecasting = asyncio.create_task(self.core.run_forecasts())
        for start in range(0, len(events), batch):
            if forecasting.done():
                break
            batches: dict[int, list[Record]] = {}
            for event in events[start : start + batch]:
                number = partition_of(event.cascade, partitions)
                value, key = msgspec.json.encode(event), event.cascade.encode()
                batches.setdefault(number, []).append(Record(value, key, None, self.next_offset(number), 0.0))
            await self.core.ingest(batches, "social.events")
        if not forecasting.done():
            end = max(event.time for event in events) + 3600 if end is None else end
            markers = {n: [Record(b"", None, end, self.next_offset(n), 0.0)] for n in range(partitions)}
            await self.core.ingest(markers, "social.events")
        await self.core.drain()
        await forecasting

    def value(self, name: str, **labels: str) -> float:
        return value(self.metrics.registry, name, **labels)

    def total(self, name: str) -> float:
        return sum(
            sample.value
            for family in self.metrics.registry.collect()
            for sample in family.samples
            if sample.name == name
        )


def value(registry: CollectorRegistry, name: str, **labels: str) -> float:
    found = registry.get_sample_value(name, labels)
    assert found is not None, f"no sample {name} {labels}"
    return found


@pytest.mark.parametrize("partitions", [1, 3])
async def test_workers_and_a_file_run_make_the_same_forecasts(
    partitions: int, engine_settings: Settings, doubling_service: ForecastService
) -> None:
    events = random_stream(11)
    rig = Rig(engine_settings.model_copy(update={"shed": False, "max_backlog": 20}))
    await rig.core.own(set(range(partitions)))
    await rig.play(events, partitions)
    from_file = list(forecast_events(events, engine_settings, doubling_service))
    assert len(from_file) > 100
    by_id = {record.id: msgspec.to_builtins(record) for record in from_file}
    published = {str(record["id"]): record for record in rig.outbox.forecasts()}
    assert json.loads(json.dumps(by_id)) == published


async def test_the_counts_add_up(engine_settings: Settings) -> None:
    events = random_stream(12)
    events += events[10:20]  # repeated
    rig = Rig(engine_settings)
    await rig.core.own({0, 1})
    await rig.play(events, 2)
    await rig.core.ingest({0: [Record(b"garbage", b"k", None, rig.next_offset(0), 1.5)]}, "social.events")
    assert rig.total("cascadecast_events_received_total") == len(events) + 2 + 1
    assert rig.total("cascadecast_events_total") == len(events) + 2 + 1
    assert rig.value("cascadecast_events_total", fate="duplicate") == 10
    due, made = rig.total("cascadecast_forecasts_due_total"), rig.total("cascadecast_forecasts_made_total")
    assert due == made + rig.total("cascadecast_forecasts_skipped_total")
    assert made == rig.total("cascadecast_forecasts_published_total") == len(rig.outbox.forecasts())


async def test_a_dead_letter_is_the_original_with_its_reason_and_place(engine_settings: Settings) -> None:
    rig = Rig(engine_settings)
    rig.tape.first = 41
    await rig.core.own({3})
    broken = b'{"id": "a", "casc\xff'
    await rig.core.ingest({3: [Record(broken, b"k", None, 41, 1.5)]}, "social.events")
    ((key, value, headers),) = rig.outbox.sent["dead-letters"]
    assert (key, value) == (b"k", broken)
    assert dict(headers) == {
        "error-kind": b"not-utf8",
        "error-message": dict(headers)["error-message"],
        "source-topic": b"social.events",
        "source-partition": b"3",
        "source-offset": b"41",
        "source-time": b"1.500",
    }


async def test_an_event_under_a_foreign_key_is_sent_again_under_its_own(engine_settings: Settings) -> None:
    rig = Rig(engine_settings)
    await rig.core.own({0})
    raw = msgspec.json.encode(cascade_events("c", 1000.0, [])[0])
    await rig.core.ingest({0: [Record(raw, b"other", None, 0, 0.0)]}, "social.events")
    assert rig.outbox.sent["events"] == [(b"c", raw, [])]
    assert rig.value("cascadecast_events_total", fate="rekeyed") == 1


async def test_a_new_owner_goes_on_where_the_old_one_stopped(engine_settings: Settings) -> None:
    events = random_stream(13)
    undisturbed = Rig(engine_settings)
    await undisturbed.core.own({0})
    await undisturbed.play(events, 1)
    first = Rig(engine_settings)
    await first.core.own({0})
    await first.play(events[:100], 1)
    second = Rig(engine_settings)
    second.stores = first.stores
    second.offsets[0] = 60  # what was committed lies behind the state
    await second.core.own({0})
    await second.play(events[60:], 1)
    ids = {record["id"]: record for record in undisturbed.outbox.forecasts()}
    again = {record["id"]: record for record in first.outbox.forecasts() + second.outbox.forecasts()}
    # The first rig's marker ended its stream early; what it forecast up to the hundredth event must agree.
    cut = events[99].time
    assert {i: r for i, r in again.items() if r["as_of"] <= cut} == {i: r for i, r in ids.items() if r["as_of"] <= cut}


async def test_a_topic_that_was_made_anew_is_read_from_its_beginning_into_the_state_there_is(
    engine_settings: Settings,
) -> None:
    first = Rig(engine_settings)
    await first.core.own({0})
    early = cascade_events("c", 1000.0, [float(n) for n in range(40)])
    await first.core.ingest({0: records_of(early, 0, broker_time=50.0)}, "social.events")
    second = Rig(engine_settings)
    second.stores = first.stores
    second.tape.ends = {0: 0}
    await second.core.own({0})
    assert second.core.state_end(0) == 0
    late = [msgspec.structs.replace(event, id=f"again/{event.id}") for event in early[1:11]]
    await second.core.ingest({0: records_of(late, 0, broker_time=60.0)}, "social.events")
    assert (second.core.state_end(0), second.tape.rewinds) == (10, [])
    grown = second.core.assigned[0].partition.store.get("c")
    assert grown is not None
    assert grown.size == 50
    third = Rig(engine_settings)
    third.stores = first.stores
    third.tape.ends = {0: 10}
    await third.core.own({0})
    assert third.core.state_end(0) == 10
    await third.core.ingest({0: records_of(late, 0, broker_time=60.0)}, "social.events")
    assert third.value("cascadecast_events_total", fate="duplicate") == 10


def records_of(events: Sequence[Event], offset: int, broker_time: float) -> list[Record]:
    return [
        Record(msgspec.json.encode(event), event.cascade.encode(), None, offset + at, broker_time)
        for at, event in enumerate(events)
    ]


async def test_forecasts_that_kafka_did_not_take_are_made_again_after_recovery(engine_settings: Settings) -> None:
    events = random_stream(14)
    rig = Rig(engine_settings)
    await rig.core.own({0})
    rig.outbox.patience = 3
    with pytest.raises(ConnectionError):  # the worker must not go on as if they were out
        await rig.play(events, 1)
    assert 0 < len(rig.outbox.forecasts()) < rig.total("cascadecast_forecasts_due_total")
    again = Rig(engine_settings)
    again.stores = rig.stores
    await again.core.own({0})
    await again.play(events, 1)  # nothing was committed
    complete = Rig(engine_settings)
    await complete.core.own({0})
    await complete.play(events, 1)
    both = {r["id"]: r for r in rig.outbox.forecasts() + again.outbox.forecasts()}
    assert both == {r["id"]: r for r in complete.outbox.forecasts()}


async def test_a_partition_that_went_elsewhere_and_came_back_is_read_again(engine_settings: Settings) -> None:
    rig, other = Rig(engine_settings), Rig(engine_settings)
    other.stores = rig.stores
    await rig.core.own({0, 1})
    kept = rig.core.assigned[0].partition
    await rig.core.own({0, 1})
    assert rig.core.assigned[0].partition is kept
    await other.core.own({0})
    await rig.core.own({0, 1})
    assert rig.core.assigned[0].partition is not kept


async def test_a_partition_that_moves_on_while_it_is_read_is_not_opened(engine_settings: Settings) -> None:
    """An epoch opened by a former owner would make readers ignore what the present one writes."""
    owner, late = Rig(engine_settings), Rig(engine_settings)
    late.stores = owner.stores
    await owner.core.own({0})
    written = dict(owner.stores[0].segments)
    await late.core.own({0}, lambda: False)
    assert late.core.assigned == {}
    assert owner.stores[0].segments == written
    assert owner.core.assigned[0].log.is_current()


async def test_a_cascade_that_a_model_cannot_digest_costs_only_its_own_forecast(engine_settings: Settings) -> None:
    events = cascade_events("fine", 1000.0, [1.0]) + cascade_events("indigestible", 1000.0, [1.0])
    rig = Rig(engine_settings)
    await rig.core.own({0})
    await rig.play(sorted(events, key=lambda event: event.time), 1)
    assert {record["cascade"] for record in rig.outbox.forecasts()} == {"fine"}
    failed = rig.value("cascadecast_forecasts_failed_total", model="doubling", role="champion")
    assert failed >= 1
    assert rig.total("cascadecast_forecasts_made_total") == failed + len(rig.outbox.forecasts())


async def test_records_that_were_passed_over_are_asked_for_and_nothing_is_lost(engine_settings: Settings) -> None:
    """The framework skips a part around a rebalance and commits beyond it; the state's own position tells."""
    events = random_stream(17)
    records = [
        Record(msgspec.json.encode(event), event.cascade.encode(), None, n, 0.0) for n, event in enumerate(events)
    ]
    rig, undisturbed = Rig(engine_settings), Rig(engine_settings)
    for one in (rig, undisturbed):
        await one.core.own({0})
    await undisturbed.core.ingest({0: records}, "t")
    await rig.core.ingest({0: records[:50]}, "t")
    await rig.core.ingest({0: records[90:120]}, "t")
    assert rig.tape.rewinds == [(0, 50)]
    assert rig.total("cascadecast_events_received_total") == 50
    restarted = Rig(engine_settings)  # dies here; the committed offset is 120
    restarted.stores = rig.stores
    await restarted.core.own({0})
    await restarted.core.ingest({0: records[120:130]}, "t")
    assert restarted.tape.rewinds == [(0, 50)]
    await restarted.core.ingest({0: records[50:]}, "t")
    state = {cascade.id: (cascade.size, cascade.users) for cascade in restarted.core.assigned[0].partition.store}
    assert state == {
        cascade.id: (cascade.size, cascade.users) for cascade in undisturbed.core.assigned[0].partition.store
    }
    assert restarted.value("cascadecast_rewinds_total") == 1


async def test_records_that_lie_in_kafka_while_none_comes_are_asked_for(
    engine_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(engine_settings)
    await rig.core.own({0})
    rig.tape.ends[0] = 10
    await rig.core.tick()
    assert rig.tape.rewinds == [], "they may be under way"
    rig.core.assigned[0].last_arrival_wall -= 60
    await rig.core.tick()
    assert rig.tape.rewinds == [], "a rebalance or a recovery is under way"
    rig.core.ready = True
    await rig.core.tick()
    assert rig.tape.rewinds == [(0, 0)]


async def test_without_shedding_the_input_waits_for_the_forecasts(engine_settings: Settings) -> None:
    rig = Rig(engine_settings.model_copy(update={"shed": False, "max_backlog": 1}))
    await rig.core.own({0})
    records = [
        Record(msgspec.json.encode(event), event.cascade.encode(), None, n, 0.0)
        for n, event in enumerate(random_stream(15))
    ]
    ingesting = asyncio.create_task(rig.core.ingest({0: records}, "social.events"))
    done, _ = await asyncio.wait({ingesting}, timeout=0.2)
    assert not done
    forecasting = asyncio.create_task(rig.core.run_forecasts())
    await asyncio.wait_for(ingesting, 10)
    assert rig.value("cascadecast_forecasts_skipped_total", reason="superseded") == 0
    await rig.core.drain()
    await forecasting


async def test_a_paced_worker_takes_no_more_in_while_forecasts_wait_too_long(engine_settings: Settings) -> None:
    rig = Rig(engine_settings.model_copy(update={"shed": "paced", "forecast_within_seconds": 1e-6}))
    await rig.core.own({0})
    records = [
        Record(msgspec.json.encode(event), event.cascade.encode(), None, n, 0.0)
        for n, event in enumerate(random_stream(15, cascades=60))
    ]
    assert len(records) > 2 * PACED_EVENTS
    ingesting = asyncio.create_task(rig.core.ingest({0: records}, "social.events"))
    done, _ = await asyncio.wait({ingesting}, timeout=0.2)
    assert not done
    assert rig.value("cascadecast_events_received_total") == PACED_EVENTS
    forecasting = asyncio.create_task(rig.core.run_forecasts())
    await asyncio.wait_for(ingesting, 10)
    await rig.core.drain()
    await forecasting
    assert rig.value("cascadecast_events_received_total") == len(records)


async def test_a_paced_worker_leaves_out_only_what_a_later_forecast_replaces(
    engine_settings: Settings, doubling_service: ForecastService
) -> None:
    events = random_stream(16, cascades=40)
    every = {record.id: record for record in forecast_events(events, engine_settings, doubling_service)}
    rig = Rig(engine_settings.model_copy(update={"shed": "paced"}))
    await rig.core.own({0})
    await rig.play(events, 1)
    made = rig.outbox.forecasts()
    assert {str(record["id"]) for record in made} <= set(every)
    latest: dict[str, float] = {}
    for record in every.values():
        latest[record.cascade] = max(latest.get(record.cascade, 0.0), record.as_of)
    assert {(record["cascade"], record["as_of"]) for record in made} >= set(latest.items())
    due, skipped = rig.total("cascadecast_forecasts_due_total"), rig.total("cascadecast_forecasts_skipped_total")
    assert due == rig.total("cascadecast_forecasts_made_total") + skipped


async def live_rig(settings: Settings, now: float) -> Rig:
    """A worker whose one partition has just heard of a post of the last seconds."""
    rig = Rig(settings)
    await rig.core.own({0})
    live = cascade_events("live", now - 10, [5.0])
    await rig.core.ingest({0: [Record(msgspec.json.encode(e), b"live", None, n, now) for n, e in enumerate(live)]}, "t")
    return rig


async def test_an_idle_live_partition_advances_with_the_wall_clock(
    engine_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_700_000_000.0
    monkeypatch.setattr("time.time", lambda: now)
    rig = await live_rig(engine_settings, now)
    before = rig.core.assigned[0].partition.watermark.value
    await rig.core.tick()
    assert rig.core.assigned[0].partition.watermark.value == before, "not idle for long enough"
    now += engine_settings.idle_after_seconds + 60
    await rig.core.tick()
    assert rig.core.assigned[0].partition.watermark.value == now
    assert rig.core.backlog() >= 1


async def test_an_idle_partition_of_an_archive_does_not(
    engine_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_700_000_000.0
    monkeypatch.setattr("time.time", lambda: now)
    rig = Rig(engine_settings)
    await rig.core.own({0})
    old = cascade_events("old", now - 1_000_000, [5.0])
    await rig.core.ingest({0: [Record(msgspec.json.encode(e), b"old", None, n, now) for n, e in enumerate(old)]}, "t")
    before = rig.core.assigned[0].partition.watermark.value
    now += 10 * engine_settings.idle_after_seconds
    await rig.core.tick()
    assert rig.core.assigned[0].partition.watermark.value == before


async def test_one_wrong_clock_neither_moves_a_live_partition_nor_makes_an_archive_live(
    engine_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_700_000_000.0
    monkeypatch.setattr("time.time", lambda: now)
    for age, lie, live in ((10.0, 86_400.0 * 365, True), (1_000_000.0, 1_000_000.0, False)):
        rig = Rig(engine_settings)
        await rig.core.own({0})
        events = [
            *cascade_events("c", now - age, [0.1 * n for n in range(40)]),
            Event(id="wrong", cascade="wrong", kind=Kind.POST, time=now - age + lie),
        ]
        records = [Record(msgspec.json.encode(e), e.cascade.encode(), None, n, now) for n, e in enumerate(events)]
        await rig.core.ingest({0: records}, "t")
        partition = rig.core.assigned[0].partition
        assert partition.watermark.value == pytest.approx(now - age + 3.9)
        monkeypatch.setattr("time.time", lambda: now + 100.0)
        await rig.core.tick()
        assert partition.watermark.value == pytest.approx(now + 100.0 if live else now - age + 3.9)
        monkeypatch.setattr("time.time", lambda: now)


async def test_cascades_that_leave_are_counted_by_reason(engine_settings: Settings) -> None:
    rig = Rig(engine_settings.model_copy(update={"max_live_cascades": 50}))
    await rig.core.own({0})
    await rig.play(random_stream(5, cascades=120), 1)
    partition = rig.core.assigned[0].partition
    left = rig.total("cascadecast_cascades_departed_total")
    assert (
        left == rig.value("cascadecast_cascades_departed_total", reason="evicted") == 120 - len(partition.store) >= 70
    )
    assert rig.value("cascadecast_live_cascades_bytes", partition="0") == partition.store.bytes > 0


def test_run_counts_of_a_file_add_up(engine_settings: Settings, doubling_service: ForecastService) -> None:
    counts = RunCounts()
    events = random_stream(16)
    records = list(forecast_events(events, engine_settings, doubling_service, counts))
    assert counts.fates.total() == len(events)
    assert counts.due == counts.made + counts.skipped.total()
    assert counts.published["doubling"] == len(records) == counts.made


# --- at least once, exactly once


class Notebook:
    """Outputs in memory as transactions leave them, over any number of workers."""

    def __init__(self) -> None:
        self.progress: dict[int, Progress] = {}
        self.owner: dict[int, object] = {}
        self.out: list[Output] = []

    def outputs(self) -> Notes:
        return Notes(self)


class Notes:
    """One worker's outputs: either all of a publication and its note is there, or nothing of it."""

    def __init__(self, book: Notebook) -> None:
        self._book = book
        self.patience = math.inf

    async def take_over(self, partition: int) -> None:
        self._book.owner[partition] = self

    async def release(self, partition: int) -> None:
        pass

    async def publish(self, partition: int, outputs: Sequence[Output], forecasts_before: float) -> list[Output]:
        await asyncio.sleep(0)
        if self._book.owner[partition] is not self:
            raise SupersededError("fenced")
        self.patience -= 1
        if self.patience < 0:
            raise ConnectionError("broker gone")
        progress = self._book.progress.get(partition, Progress())
        wanted = [output for output in outputs if not progress.has(output.key)]
        self._book.out += wanted
        self._book.progress[partition] = progress.after([output.key for output in wanted], forecasts_before)
        return wanted


@pytest.mark.parametrize("crash_after", [1, 2, 5, 9, 14])
async def test_with_notes_of_what_is_out_a_crash_repeats_nothing(engine_settings: Settings, crash_after: int) -> None:
    events = random_stream(18)
    book = Notebook()
    first = Rig(engine_settings, outputs=book.outputs())
    first.outputs.patience = crash_after
    await first.core.own({0})
    with pytest.raises(ConnectionError):
        await first.play(events, 1)
    second = Rig(engine_settings, outputs=book.outputs())
    second.stores = first.stores
    await second.core.own({0})
    await second.play(events, 1)
    ids = [json.loads(output.message[1])["id"] for output in book.out if output.topic == "forecasts"]
    undisturbed = Rig(engine_settings)
    await undisturbed.core.own({0})
    await undisturbed.play(events, 1)
    assert sorted(ids) == sorted(str(record["id"]) for record in undisturbed.outbox.forecasts())
    assert second.total("cascadecast_forecasts_made_total") == second.total(
        "cascadecast_forecasts_published_total"
    ) + second.value("cascadecast_outputs_withheld_total", kind="forecast")


async def test_a_dead_letter_is_out_before_the_state_says_that_its_record_is_done(engine_settings: Settings) -> None:
    rig = Rig(engine_settings)
    await rig.core.own({0})
    rig.outbox.patience = 0
    broken = [Record(b"broken", b"k", None, 0, 0.0)]
    with pytest.raises(ConnectionError):
        await rig.core.ingest({0: broken}, "t")
    again = Rig(engine_settings)
    again.stores = rig.stores
    await again.core.own({0})
    await again.core.ingest({0: [Record(b"", None, 1.0, 1, 0.0)]}, "t")
    assert again.tape.rewinds == [(0, 0)], "even if the offset was committed, the record is read again"
    await again.core.ingest({0: broken}, "t")
    assert [value for _, value, _ in again.outbox.sent["dead-letters"]] == [b"broken"]


async def test_a_worker_whose_partition_was_taken_over_lets_go_of_it(engine_settings: Settings) -> None:
    events = random_stream(19)
    book = Notebook()
    rig = Rig(engine_settings, outputs=book.outputs())
    await rig.core.own({0, 1})
    book.owner[0] = "another worker"
    await rig.play(events, 2)
    assert set(rig.core.assigned) == {1}
    assert {output.key.cascade for output in book.out} == {
        event.cascade for event in events if partition_of(event.cascade, 2) == 1
    } & {output.key.cascade for output in book.out}


async def test_a_watermark_moved_by_the_wall_clock_is_durable_before_a_forecast_rests_on_it(
    engine_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_700_000_000.0
    monkeypatch.setattr("time.time", lambda: now)
    rig = await live_rig(engine_settings, now)
    now += engine_settings.idle_after_seconds + 60
    await rig.core.tick()
    again = Rig(engine_settings)
    again.stores = rig.stores
    await again.core.own({0})
    assert again.core.assigned[0].partition.watermark.value == rig.core.assigned[0].partition.watermark.value == now


async def test_a_watermark_moved_by_the_wall_clock_is_durable_before_a_record_meets_it(
    engine_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_700_000_000.0
    monkeypatch.setattr("time.time", lambda: now)
    rig = await live_rig(engine_settings, now)
    now += engine_settings.idle_after_seconds + 60
    await rig.core.tick()
    partition = rig.core.assigned[0].partition
    for due in partition.take_due(100):
        partition.published(due)
    now += 60.0
    await rig.core.tick()  # nothing is due: this one rests in memory
    rig.outbox.patience = 0
    with pytest.raises(ConnectionError):
        await rig.core.ingest({0: [Record(b"no event", b"live", None, 2, now)]}, "t")
    again = Rig(engine_settings)
    again.stores = rig.stores
    await again.core.own({0})
    assert again.core.assigned[0].partition.watermark.value == partition.watermark.value == now


async def test_lag_is_what_kafka_holds_beyond_the_state_and_how_old_the_last_record_taken_in_is(
    engine_settings: Settings,
) -> None:
    rig = Rig(engine_settings)
    await rig.core.own({0})
    values = [msgspec.json.encode(event) for event in cascade_events("a", 1_400_000_000.0, [1.0, 2.0])]
    taken_at = time.time() - 50.0
    rig.tape.ends[0] = 10
    await rig.core.ingest({0: [Record(value, b"a", None, at, taken_at) for at, value in enumerate(values)]}, "events")
    assert rig.value("cascadecast_input_lag_records", partition="0") == 7
    assert 50.0 <= rig.value("cascadecast_input_lag_seconds", partition="0") < 80.0
    rig.tape.ends[0] = 3
    await rig.core.tick()
    assert rig.value("cascadecast_input_lag_records", partition="0") == 0
    assert rig.value("cascadecast_input_lag_seconds", partition="0") == 0


async def test_only_forecasts_of_live_partitions_have_an_age(engine_settings: Settings) -> None:
    for start, counted in ((time.time() - 200.0, True), (1_400_000_000.0, False)):
        rig = Rig(engine_settings)
        await rig.core.own({0})
        await rig.play(cascade_events("a", start, [1.0, 100.0]), 1, end=start + 190.0)
        assert rig.value("cascadecast_forecasts_made_total") > 0
        assert (rig.value("cascadecast_forecast_age_seconds_count") > 0) == counted
        assert (rig.value("cascadecast_forecast_age_seconds_sum") > 0) == counted
