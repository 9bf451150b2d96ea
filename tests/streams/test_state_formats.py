"""Stored state of other versions: an older one is read and goes on, a newer or damaged one is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.partition import Partition
from streams.segment_log import SegmentLog
from streams.segment_store import MemorySegmentStore
from streams.segments import STATE_VERSION, Segment, StateError, pack, unpack
from tests.streams.learning_engine import Out, finish, learning_settings, long_stream, play, service

STORED = Path(__file__).parent / "stored"
CONFIG = learning_settings(horizon_seconds=3600.0, retention_grace_seconds=600, score_ages_seconds=(600,))


def stored(name: str) -> tuple[MemorySegmentStore, dict[str, Any]]:
    """Segments as they were written, and what was in them."""
    content = msgspec.msgpack.decode((STORED / name).read_bytes())
    return MemorySegmentStore(dict(content["segments"])), content["expected"]


def test_state_of_format_1_is_read_whole() -> None:
    store, expected = stored("state_format_1.msgpack")
    partition, log = Partition(0, CONFIG), SegmentLog(store)
    assert log.load(partition) == len(store.segments)
    assert partition.watermark.value == expected["watermark"]
    assert log.next_offset == expected["next_offset"]
    assert partition.unforecast_since() == expected["unforecast_since"]
    assert [
        [c.id, c.size, c.depth, c.nodes, c.root_time, c.last_time]
        for c in sorted(partition.store, key=lambda cascade: cascade.id)
    ] == expected["cascades"]
    assert [[p.cascade, p.as_of, p.event] for p in partition.schedule.all_pending()] == expected["pending"]
    assert sorted(map(list, partition.learner._kept)) == expected["kept"]
    learned = msgspec.msgpack.decode(partition.learner.learned.snapshot())
    assert learned | msgspec.msgpack.decode(expected["learned"]) == learned, "later versions add to it"


def test_and_goes_on_in_the_present_format() -> None:
    """The half that was to come makes the forecasts and scores of an undisturbed run, across one more crash."""
    store, expected = stored("state_format_1.msgpack")
    events = [*long_stream(3, cascades=16), *later_events()]
    undisturbed, _ = play(events, [], CONFIG)
    models, out = service(CONFIG), Out()
    for part in (events[expected["next_offset"] :], []):
        partition, log = Partition(0, CONFIG), SegmentLog(store)
        asyncio.run(log.recover(partition))
        for at in range(0, len(part), 50):
            changes = partition.apply_events(part[at : at + 50])
            finish(partition, models, CONFIG, out)
            asyncio.run(log.append(partition, changes, -1))
    partition.watermark.advance_to(max(event.time for event in events) + 4 * 3600.0)
    finish(partition, models, CONFIG, out)
    assert {unpack(value).version for value in store.segments.values()} == {1, STATE_VERSION}
    assert out.forecasts.items() <= undisturbed.forecasts.items()
    assert out.scores.items() <= undisturbed.scores.items()
    since = expected["unforecast_since"]
    assert {one for one, record in undisturbed.forecasts.items() if record.as_of >= since} <= out.forecasts.keys()


def later_events() -> list[Any]:
    last = long_stream(3, cascades=16)[-1].time
    return [
        msgspec.structs.replace(
            event,
            id="later" + event.id,
            cascade="later" + event.cascade,
            parent=event.parent and "later" + event.parent,
            time=last + 60 + event.time - long_stream(8)[0].time,
        )
        for event in long_stream(8)
    ]


SMALL = Segment(STATE_VERSION, 0.0, 0.0, 7, [], [], [])
LARGE = Segment(STATE_VERSION, 0.0, 0.0, 7, [], [(f"c{n}", 1.0, 1.0, f"e{n}") for n in range(100)], [])


def test_a_newer_format_is_refused_with_both_numbers() -> None:
    newer = pack(Segment(STATE_VERSION + 1, 0.0, 0.0, 0, [], [], []))
    with pytest.raises(StateError, match=r"format 3 and this version reads up to 2: run the version that wrote it"):
        unpack(newer)


@given(st.data(), st.sampled_from([SMALL, LARGE]))
def test_every_flipped_bit_and_every_cut_is_found(data: st.DataObject, segment: Segment) -> None:
    good = pack(segment)
    assert unpack(good) == segment
    at = data.draw(st.integers(0, len(good) * 8 - 1))
    flipped = bytearray(good)
    flipped[at // 8] ^= 1 << at % 8
    for damaged in (bytes(flipped), good[: at // 8]):
        with pytest.raises(StateError, match="damaged"):
            unpack(damaged)


@pytest.mark.parametrize("damaged", [b"", b"\x01nonsense", b"\x00" + b"\xff" * 9, b"\x00\x91\x00", b"\x00\x91\xc0"])
def test_nonsense_is_damaged_state(damaged: bytes) -> None:
    with pytest.raises(StateError, match="damaged"):
        unpack(damaged)


def test_a_key_that_no_worker_wrote_is_damaged_state() -> None:
    with pytest.raises(StateError, match="key has 3 bytes"):
        SegmentLog(MemorySegmentStore({b"abc": pack(SMALL)})).load(Partition(0, CONFIG))
