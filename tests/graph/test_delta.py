"""Durable state: what is restored is what was, and goes on as it would have."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph import Cascade, Event, Kind, StateFormatError, UserError
from graph.delta import FORMAT
from tests.graph.hostile import AS_OF, CASCADE, arrivals
from tests.graph.test_cascade import post, reaction, rows_of, undo

SUMMARY = [
    "version",
    "size",
    "depth",
    "users",
    "nodes",
    "binned",
    "has_root",
    "root_time",
    "first_time",
    "last_time",
    "withdrawn_at",
    "root_followers",
    "root_verified",
    "root_lang",
    "root_source",
]


def assert_alike(one: Cascade, other: Cascade, as_of: float = float("inf")) -> None:
    for name in SUMMARY:
        assert getattr(one, name) == getattr(other, name), name
    assert rows_of(one.view(as_of)) == rows_of(other.view(as_of))
    assert one.snapshot() == other.snapshot()


@settings(max_examples=400)
@given(st.data(), AS_OF, st.sampled_from([4, 200_000]))
def test_snapshots_and_deltas_round_trip(data: st.DataObject, as_of: float, max_events: int) -> None:
    """Deltas are taken at random moments; the restored cascade then lives on beside the original."""
    cascade = Cascade(CASCADE, max_events=max_events)
    chunks: list[bytes] = []
    sequence = data.draw(arrivals())
    last_cut = data.draw(st.integers(0, len(sequence)))
    for number, (event, watermark) in enumerate(sequence):
        if number == last_cut or data.draw(st.booleans()):
            chunks += [cascade.snapshot()] if data.draw(st.booleans()) and cascade.version else []
            delta = cascade.delta()
            chunks += [] if delta is None else [delta]
        if number == last_cut:
            break
        cascade.apply(event, watermark)
    if not chunks:
        return
    delta = cascade.delta()
    restored = Cascade.restore(chunks if delta is None else [*chunks, delta], max_events=max_events)
    assert_alike(restored, cascade, as_of)
    assert_alike(Cascade.restore([cascade.snapshot()], max_events=max_events), cascade, as_of)
    for event, watermark in sequence[last_cut:]:
        assert restored.apply(event, watermark) is cascade.apply(event, watermark)
        assert_alike(restored, cascade, as_of)
    assert restored.delta() == cascade.delta()


def test_nothing_new_is_no_delta() -> None:
    cascade = Cascade(CASCADE)
    assert cascade.delta() is None
    cascade.apply(post())
    assert cascade.delta() is not None
    assert cascade.delta() is None
    cascade.apply(post())
    assert cascade.delta() is None


def test_absorbing_a_chunk_twice_changes_nothing() -> None:
    cascade = Cascade(CASCADE)
    cascade.apply(post())
    first = cascade.delta()
    cascade.apply(reaction("a", 1.0, followers=3))
    second = cascade.delta()
    assert first is not None
    assert second is not None
    restored = Cascade.restore([first, second, first, second, cascade.snapshot()])
    assert_alike(restored, cascade)


def test_a_snapshot_between_deltas_may_overlap_the_next() -> None:
    cascade = Cascade(CASCADE)
    cascade.apply(post())
    cascade.delta()
    cascade.apply(reaction("a", 1.0))
    snapshot = cascade.snapshot()
    cascade.apply(reaction("b", 2.0, "a"))
    delta = cascade.delta()
    assert delta is not None
    assert_alike(Cascade.restore([snapshot, delta]), cascade)


def test_a_large_cascade_is_restored_from_many_deltas() -> None:
    cascade = Cascade(CASCADE)
    chunks = []
    cascade.apply(reaction("n1", 1.0))
    for number in range(2, 3000):
        parent = f"n{number - 1}" if number < 300 else f"n{number // 2}"
        cascade.apply(reaction(f"n{number}", float(number), parent))
        if number % 7 == 0:
            chunks.append(cascade.delta() or b"")
        if number == 2000:
            cascade.apply(post(name="p"))
            cascade.apply(undo("n5", 2100.0))
    chunks.append(cascade.delta() or b"")
    restored = Cascade.restore(chunks)
    assert_alike(restored, cascade)
    assert restored.apply(reaction("n1234", 9.0)).name == "DUPLICATE"


def test_a_delta_costs_under_45_bytes_an_event_and_little_besides() -> None:
    cascade = Cascade(CASCADE)
    cascade.apply(post())
    cascade.delta()
    cascade.apply(reaction("a", 1.0))
    one = cascade.delta() or b""
    for number in range(1000):
        cascade.apply(reaction(f"n{number}", 2.0, "a", user=f"u{number}"))
    thousand = cascade.delta() or b""
    assert len(one) < 40 + len(CASCADE) + 28
    assert len(thousand) < 45 * 1000


def test_what_cannot_be_read_says_so() -> None:
    cascade = Cascade(CASCADE)
    cascade.apply(post())
    first = cascade.delta() or b""
    cascade.apply(reaction("a", 1.0))
    cascade.delta()
    cascade.apply(undo("a", 1.0))
    third = cascade.delta() or b""
    with pytest.raises(StateFormatError, match=f"of format {FORMAT + 1} .* run the release that wrote it"):
        Cascade.restore([bytes([FORMAT + 1]) + first[1:]])
    with pytest.raises(StateFormatError, match="incomplete: version 1 is followed by a change to version 2"):
        Cascade.restore([first, third])
    with pytest.raises(StateFormatError, match="no state at all"):
        Cascade.restore([])
    with pytest.raises(StateFormatError, match="of cascade 'c' was given to cascade 'other'"):
        Cascade("other").absorb(first)
    for length in range(len(third)):
        with pytest.raises(StateFormatError):
            Cascade.restore([third[:length]])
    assert issubclass(StateFormatError, UserError)


@given(st.binary(max_size=120), st.integers(0, 200))
def test_damaged_chunks_never_crash(noise: bytes, at: int) -> None:
    cascade = Cascade(CASCADE)
    cascade.apply(post())
    cascade.apply(reaction("a", 1.0, "b"), 5.0)
    chunk = bytearray(cascade.snapshot())
    chunk[at : at + len(noise)] = noise
    with contextlib.suppress(StateFormatError):
        Cascade.restore([bytes(chunk)])


def test_wide_records_follow_narrow_ones() -> None:
    cascade = Cascade(CASCADE)
    cascade.apply(post())
    chunks = []
    for number in range(1, 600):
        cascade.apply(Event(id=f"n{number}", cascade=CASCADE, kind=Kind.REPOST, time=1.0, parent=f"n{number - 1}"))
        if number % 200 == 0:
            chunks.append(cascade.delta() or b"")
    restored = Cascade.restore([*chunks, cascade.delta() or b""])
    assert_alike(restored, cascade)
    assert restored.depth == 599
