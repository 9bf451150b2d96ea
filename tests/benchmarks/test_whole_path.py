"""The benchmarks of the whole path measure what they say; their figures are another matter."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import Any

import pytest

from graph import Event, Kind, Rejected, decode_event
from streams.bench.recovery import NEVER, RecoveryPlan, _write
from streams.bench.soak import Sample, _verdict
from streams.bench.stream import HOUR, START, endless, record
from streams.engine.partition import Partition
from streams.settings import Settings
from streams.state.log import SegmentLog
from streams.state.store import MemorySegmentStore


def test_the_endless_stream_is_in_order_and_settles_at_its_rate() -> None:
    events = list(islice(endless(1000.0, seed=3), 40_000))
    assert events == list(islice(endless(1000.0, seed=3), 40_000))
    times = [event.time for event in events]
    assert times == sorted(times)
    assert len({event.id for event in events}) == len(events)
    settled = [time for time in times if time > START + 25 * HOUR]
    assert len(settled) / (settled[-1] - settled[0]) * HOUR == pytest.approx(1000.0, rel=0.1)
    posts = {event.cascade for event in events if event.kind is Kind.POST}
    assert {event.cascade for event in events} == posts


def test_its_records_are_events_under_their_cascades_key() -> None:
    for event in islice(endless(1000.0), 100):
        key, value = record(event)
        found = decode_event(value)
        assert not isinstance(found, Rejected)
        assert (found.id, found.cascade.encode(), found.time) == (event.id, key, event.time)


def test_the_state_to_be_recovered_holds_every_cascade_and_event() -> None:
    plan = RecoveryPlan(cascades=60, events=600, batch=7, partitions=1)
    options: dict[str, Any] = {"partitions": 1, "minimum_observed": NEVER}
    store = MemorySegmentStore()
    asyncio.run(_write(Partition(0, Settings(**options)), SegmentLog(store), list(range(60)), plan))
    again = Partition(0, Settings(**options))
    SegmentLog(MemorySegmentStore(store.segments)).load(again)
    assert sum(cascade.nodes for cascade in again.store) == 600
    assert len(again.store) == 60
    assert not again.has_due()


def samples(growth: float) -> list[Sample]:
    """A warm-up of five minutes, then memory that grows by this share in five more."""
    return [
        Sample(
            float(t), round(1e9 * (0.5 + t / 600 if t < 300 else 1.0 + growth * (t - 300) / 300)), 10, 5, 100.0 * t, 7.0
        )
        for t in range(0, 601, 10)
    ]


@pytest.mark.parametrize("growth", [0.0, 0.02, -0.01])
def test_memory_is_judged_by_what_it_does_after_the_warm_up(growth: float) -> None:
    rows = {row["name"]: row for row in _verdict("phase", samples(growth))}
    assert rows["phase: growth of memory after the warm-up"]["value"] == pytest.approx(growth, abs=2e-4)
    assert rows["phase: events taken in"]["value"] == pytest.approx(100.0)


def test_the_endless_stream_needs_no_reshares() -> None:
    assert {event.kind for event in islice(endless(10.0, reshares=0), 50)} == {Kind.POST}
    assert isinstance(next(endless(10.0)), Event)
