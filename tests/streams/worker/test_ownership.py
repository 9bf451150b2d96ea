"""A new owner goes on where the old one stopped, and a former one lets go."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterable

import msgspec
import pytest

from streams.kafka.partitioner import partition_of
from streams.settings import Settings
from streams.state.log import SegmentLog
from streams.state.store import MemorySegmentStore
from streams.worker.ownership import READ_AT_ONCE
from tests.streams.conftest import cascade_events, random_stream
from tests.streams.worker_rig import Notebook, Rig, records_of


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


class MeetingStore(MemorySegmentStore):
    """Whoever reads it waits until as many read as are expected."""

    def __init__(self, meeting: threading.Barrier) -> None:
        super().__init__()
        self._meeting = meeting

    def items(self) -> Iterable[tuple[bytes, bytes]]:
        self._meeting.wait(60.0)
        return super().items()


async def test_partitions_are_read_side_by_side_and_opened_in_their_order(engine_settings: Settings) -> None:
    rig = Rig(engine_settings)
    meeting = threading.Barrier(READ_AT_ONCE)
    numbers = set(range(2 * READ_AT_ONCE))
    rig.stores.update({number: MeetingStore(meeting) for number in numbers})
    await rig.core.own(numbers)
    assert list(rig.core.assigned) == sorted(numbers)
    assert rig.core.recovered_so_far() == (0, 0)


async def test_none_is_read_any_more_once_partitions_moved_on(engine_settings: Settings) -> None:
    """Nor is one opened that was read meanwhile: its store may be another's, and is closed by the next rebalance."""
    rig = Rig(engine_settings)
    rig.stores.update({number: MemorySegmentStore() for number in range(6)})
    await rig.core.own(set(range(6)), lambda: len(rig.core.assigned) < 2)
    assert list(rig.core.assigned) == [0, 1]
    assert [number for number, store in rig.stores.items() if store.segments] == [0, 1]
    assert rig.core.recovered_so_far() == (0, 0)
    assert gc.isenabled()


async def test_the_log_hears_of_commits_while_it_is_ours(
    engine_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[int] = []
    monkeypatch.setattr(SegmentLog, "committed", lambda self, next_offset: heard.append(next_offset))
    rig = Rig(engine_settings)
    await rig.core.own({0})
    rig.core.committed(0, 7)
    rig.core.committed(1, 8)
    await rig.core.own(set())
    rig.core.committed(0, 9)
    assert heard == [7]
