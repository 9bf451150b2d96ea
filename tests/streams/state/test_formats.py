"""Stored state of other versions: an older one is read and goes on, a newer or damaged one is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.engine.partition import Partition
from streams.state.chunks import Chunk, Chunks
from streams.state.log import SegmentLog
from streams.state.segments import OLDEST_STATE_VERSION, STATE_VERSION, Segment, Waiting, pack, unpack
from streams.state.squeezing import StateError
from streams.state.store import MemorySegmentStore
from tests.streams.learning_engine import Out, finish, learning_settings, long_stream, play, service

STORED = Path(__file__).parent / "stored"
CONFIG = learning_settings(horizon_seconds=3600.0, retention_grace_seconds=600, score_ages_seconds=(600,))


def stored(name: str) -> tuple[MemorySegmentStore, dict[str, Any]]:
    """Segments as they were written, and what was in them."""
    content = msgspec.msgpack.decode((STORED / name).read_bytes())
    return MemorySegmentStore(dict(content["segments"])), content["expected"]


OLDER = pytest.mark.parametrize("version", range(OLDEST_STATE_VERSION, STATE_VERSION))


@OLDER
def test_state_of_an_older_format_is_read_whole(version: int) -> None:
    store, expected = stored(f"state_format_{version}.msgpack")
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


@OLDER
def test_and_goes_on_in_the_present_format(version: int) -> None:
    """The half that was to come makes the forecasts and scores of an undisturbed run, across one more crash."""
    store, expected = stored(f"state_format_{version}.msgpack")
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
    assert {unpack(value).version for value in store.segments.values()} == {version, STATE_VERSION}
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


SMALL = Segment(STATE_VERSION, 0.0, 0.0, 7, Chunks(), Waiting(), [])
LARGE = Segment(
    STATE_VERSION,
    0.0,
    0.0,
    7,
    Chunks.of([Chunk(f"c{n}", n, b"data" * n) for n in range(30)]),
    Waiting.of([(f"c{n}", 1.0, 1.0, f"e{n}") for n in range(100)]),
    [],
)


def test_a_newer_format_is_refused_with_both_numbers() -> None:
    newer = pack(Segment(STATE_VERSION + 1, 0.0, 0.0, 0, Chunks(), Waiting(), []))
    with pytest.raises(StateError, match=r"format 5 and this version reads up to 4: run the version that wrote it"):
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


def test_columns_that_do_not_fit_together_are_damaged_state() -> None:
    """A checksum tells flipped bits, not what a faulty writer made."""
    for column, content in (
        ("names", msgspec.Raw(b"\x91\xa1c")),
        ("indexes", b"\x00" * 15),
        ("lengths", b""),
        ("data", b"dat"),
    ):
        chunks = Chunks.of([Chunk("c", 7, b"data"), Chunk("d", 9, b"more")])
        msgspec.structs.force_setattr(chunks, column, content)
        with pytest.raises(StateError, match="damaged"):
            unpack(pack(msgspec.structs.replace(SMALL, chunks=chunks)))


@given(st.lists(st.tuples(st.text(max_size=3), st.integers(0, 2**64 - 1), st.binary(max_size=9)), max_size=9))
def test_chunks_come_back_from_their_columns(rows: list[tuple[str, int, bytes]]) -> None:
    chunks = [Chunk(*row) for row in rows]
    columns = Chunks.of(chunks)
    assert len(columns) == len(chunks)
    assert list(columns.where(lambda cascade, index: True)) == chunks
    assert list(columns.where(lambda cascade, index: index % 2 == 0)) == [one for one in chunks if one.index % 2 == 0]


def test_forecasts_to_be_made_are_read_only_where_some_are_needed() -> None:
    rows = [("a", 3.0, 1.0, "e"), ("b", 5.0, 4.0, "f")]
    waiting = Waiting.of(rows)
    assert [list(waiting.since(time)) for time in (2.0, 3.0, 4.0, 5.5)] == [rows, rows, rows[1:], []]
    assert list(Waiting.of([]).since(-1.0)) == []
    with pytest.raises(StateError, match="damaged"):
        Waiting(9.0, b"\x01nonsense").since(1.0)
    assert list(Waiting(9.0, b"\x01nonsense").since(9.5)) == []
