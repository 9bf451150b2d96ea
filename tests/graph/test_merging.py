"""Restored at once is restored one by one: a dormant cascade is, awake, what its chunks describe."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph import Cascade, Event, Kind
from graph.delta import StateFormatError, is_whole
from graph.dormant import Dormant
from graph.merging import merged, names, read_names, tell_everything
from tests.graph.hostile import CASCADE, FOLLOWERS, USERS, arrivals
from tests.graph.test_delta import assert_alike


def merge(histories: list[list[bytes]]) -> list[Dormant | None]:
    """Of cascades whose chunks lie in one stretch of bytes behind each other."""
    chunks = [chunk for history in histories for chunk in history]
    ends = np.cumsum([len(chunk) for chunk in chunks])
    edges = np.cumsum([0, *map(len, histories)])
    starts = ends - [len(chunk) for chunk in chunks]
    return merged(b"".join(chunks), starts, ends, edges, [CASCADE] * len(histories))


@st.composite
def orderly(draw: st.DrawFn) -> list[tuple[Event, float]]:
    """A post and reshares of it in order of time, of which some say their author's followers."""
    language = draw(st.sampled_from([None, "en"]))
    post = Event(CASCADE, CASCADE, Kind.POST, 1.0, user=draw(USERS), followers=draw(FOLLOWERS), lang=language)
    events = [post] if draw(st.booleans()) else []
    for number in range(draw(st.integers(0, 12))):
        parent = draw(st.sampled_from([None, CASCADE, "e0"]))
        kind = draw(st.sampled_from([Kind.REPOST, Kind.REPLY]))
        events.append(
            Event(f"e{number}", CASCADE, kind, 2.0 + number, user=draw(USERS), parent=parent, followers=draw(FOLLOWERS))
        )
    return [(event, -math.inf) for event in events]


@st.composite
def histories(draw: st.DrawFn) -> list[bytes]:
    """A cascade's chunks, cut at random, some of them whole; at least one."""
    cascade = Cascade(CASCADE)
    chunks: list[bytes] = []
    for event, watermark in [*draw(orderly() | arrivals()), (Event("last", CASCADE, Kind.REPOST, 99.0), -math.inf)]:
        cascade.apply(event, watermark)
        if event.id == "last" or draw(st.booleans()):
            delta = cascade.delta()
            if delta is not None:
                chunks.append(delta)
            if draw(st.integers(0, 9)) == 0:
                chunks = [cascade.snapshot()]
    return chunks


@settings(max_examples=100)
@given(st.lists(histories(), min_size=1, max_size=5))
def test_merged_chunks_are_the_cascade(cascades: list[list[bytes]]) -> None:
    for chunks, dormant in zip(cascades, merge(cascades), strict=True):
        if dormant is None:
            continue
        restored, awake = Cascade.restore(chunks), dormant.wake()
        assert_alike(awake, restored)
        assert awake._followers == restored._followers
        for fact in ("size", "root_time", "last_time", "withdrawn_at", "memory_bytes"):
            assert getattr(dormant, fact) == getattr(restored, fact), fact
        for one in (awake, restored):
            one.apply(Event("later", CASCADE, Kind.REPOST, 100.0, parent="e0"))
        assert awake.delta() == restored.delta()


@given(st.lists(orderly().filter(bool), min_size=1, max_size=4), st.data())
def test_whoever_grew_in_order_sleeps(streams: list[list[tuple[Event, float]]], data: st.DataObject) -> None:
    cascades: list[list[bytes]] = []
    for stream in streams:
        cascade, chunks = Cascade(CASCADE), []
        for event, _ in stream:
            cascade.apply(event if event.parent != "e0" or event.id != "e0" else Event("e0", CASCADE, Kind.REPOST, 2.0))
            if data.draw(st.booleans()):
                chunks.append(cascade.delta() or b"")
        cascades.append([*chunks, *([last] if (last := cascade.delta()) else [])])
    assert None not in merge(cascades)


def plain() -> list[bytes]:
    cascade, chunks = Cascade(CASCADE), []
    for number in range(4):
        kind = Kind.REPOST if number else Kind.POST
        cascade.apply(Event(f"e{number}" if number else CASCADE, CASCADE, kind, float(number)))
        chunks.append(cascade.delta() or b"")
    return chunks


def irregular(event: Event, watermark: float = -math.inf) -> list[bytes]:
    cascade = Cascade.restore(plain())
    cascade.apply(event, watermark)
    return [*plain(), cascade.delta() or b""]


@pytest.mark.parametrize(
    "chunks",
    [
        irregular(Event("undo", CASCADE, Kind.UNDO, 9.0, parent="e1")),
        irregular(Event("undo", CASCADE, Kind.UNDO, 9.0, parent=CASCADE)),
        irregular(Event("late", CASCADE, Kind.REPOST, 9.0), watermark=10.0),
        irregular(Event("child", CASCADE, Kind.REPOST, 9.0, parent="unseen")),
        plain()[1:],
        [plain()[0], *plain()[2:]],
        [plain()[0], plain()[0]],
        [b"\xff" + plain()[0][1:]],
        [plain()[0].replace(b"\x81\xa1r\x94", b"\x81\xa1r\x93")],
        [plain()[0][:20]],
        [*plain()[:3], plain()[3][:-1]],
        [*plain()[:3], plain()[3] + b"\x80"],
    ],
)
def test_all_else_is_left_to_be_restored_one_by_one(chunks: list[bytes]) -> None:
    """What is irregular, and what is damaged; its neighbours sleep all the same."""
    found = merge([plain(), chunks, plain()])
    assert found[1] is None
    if min(map(len, chunks)) > 36:
        assert found[0] is not None
        assert found[2] is not None


def test_chunks_that_tell_everything_are_told_apart() -> None:
    chunks = [*plain(), Cascade.restore(plain()).snapshot(), b"", b"\x01\x00\x00"]
    ends = np.cumsum([len(chunk) for chunk in chunks])
    starts = ends - [len(chunk) for chunk in chunks]
    found = tell_everything(b"".join(chunks), starts, ends)
    assert found.tolist() == [is_whole(chunk) for chunk in chunks] == [True, False, False, False, True, False, False]


def test_chunks_say_whose_they_are() -> None:
    data = b"".join(plain())
    ends = np.cumsum([len(chunk) for chunk in plain()])
    at, length = names(data, ends - [len(chunk) for chunk in plain()], ends)
    assert read_names(data, at, length) == [CASCADE] * len(ends)


@pytest.mark.parametrize(
    ("chunk", "why"),
    [
        (plain()[0][:20], "damaged"),
        (plain()[0][:36], "damaged"),
        (b"\x00" + plain()[0][1:], "damaged"),
        (plain()[0].replace(CASCADE.encode(), b"\xff" * len(CASCADE.encode()), 1), "damaged"),
        (b"\xff" + plain()[0][1:], "format 255 and this release reads up to 1"),
    ],
)
def test_one_that_does_not_is_refused_with_the_reason(chunk: bytes, why: str) -> None:
    starts, ends = np.array([0, len(plain()[0])]), np.cumsum([len(plain()[0]), len(chunk)])
    data = plain()[0] + chunk
    with pytest.raises(StateFormatError, match=why):
        read_names(data, *names(data, starts, ends))
