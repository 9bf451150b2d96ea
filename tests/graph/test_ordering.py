"""Ordering equals a stable sort by time with roots first, however little fits into memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph import Event, Kind, UserError
from graph import ordering as module
from graph.ordering import UnorderedError, fold_events, ordered

HOUR, DAY = 3600.0, 86_400.0

events = st.lists(
    st.builds(
        Event,
        id=st.text("abc\u00e9", min_size=1, max_size=3),
        cascade=st.sampled_from(["x", "y", "z"]),
        kind=st.sampled_from(list(Kind)),
        time=st.sampled_from([0.0, 1.0, 1.5, 2.0, 1e9]),
        user=st.none() | st.just("u"),
        followers=st.none() | st.integers(0, 10),
        text=st.none() | st.just("text"),
    ),
    max_size=60,
)


def expected(sequence: list[Event]) -> list[Event]:
    return sorted(sequence, key=lambda event: (event.time, event.kind is not Kind.POST))  # sorted() is stable


@given(events, st.integers(1, 70))
def test_equals_a_stable_sort_whatever_fits_into_memory(sequence: list[Event], limit: int) -> None:
    assert list(ordered(sequence, memory_limit_events=limit)) == expected(sequence)


@given(events)
def test_more_runs_than_can_be_merged_at_once(sequence: list[Event]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MAX_RUNS", 3)
        patch.setattr(module, "BLOCK", 2)
        assert list(ordered(sequence, memory_limit_events=2)) == expected(sequence)


def test_the_runs_leave_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    stream = ordered(one_each([5.0, 4.0, 3.0, 2.0, 1.0]), memory_limit_events=2)
    assert next(stream).time == 1.0
    assert len(list(tmp_path.iterdir())) == 1
    stream.close()  # type: ignore[attr-defined]
    assert list(tmp_path.iterdir()) == []


def test_no_room_for_the_runs_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(Path, "open", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(UserError, match=r"No space left on device; make room there, or set TMPDIR"):
        list(ordered(one_each([2.0, 1.0, 3.0]), memory_limit_events=2))


def one_each(times: list[float]) -> Iterator[Event]:
    return (Event(str(i), str(i), Kind.POST, time) for i, time in enumerate(times))


def test_parents_precede_children_of_the_same_second() -> None:
    post = Event("p", "p", Kind.POST, 5.0)
    child = Event("c", "p", Kind.REPOST, 5.0, parent="p")
    grandchild = Event("a", "p", Kind.REPOST, 5.0, parent="c")
    assert list(ordered([child, grandchild, post])) == [post, child, grandchild]


def test_a_stream_in_order_is_passed_on_as_it_comes() -> None:
    def endless() -> Iterator[Event]:
        time = 0.0
        while True:
            yield Event(f"{time}", "x", Kind.REPOST, time)
            time += 1.0

    stream = ordered(endless(), in_order=True)
    assert [next(stream).time for _ in range(3)] == [0.0, 1.0, 2.0]


def test_a_stream_said_to_be_in_order_that_is_not() -> None:
    with pytest.raises(UnorderedError, match=r"event 2 \(1\) is 4 s earlier .* leave out --in-order"):
        list(ordered(one_each([5.0, 1.0]), in_order=True))


def test_a_fold_cannot_be_in_order() -> None:
    with pytest.raises(UserError, match="leave out"):
        list(ordered([], in_order=True, fold_seconds=DAY))


@pytest.mark.parametrize("fold", [0.0, -1.0, float("nan"), float("inf")])
def test_a_fold_is_a_period(fold: float) -> None:
    with pytest.raises(UserError, match="give a positive one"):
        list(fold_events(one_each([1.0]), fold))


cascades = st.lists(
    st.tuples(st.integers(0, 10**9), st.lists(st.integers(0, 10**6), max_size=5)), min_size=1, max_size=8
)


@given(cascades)
def test_a_fold_keeps_delays_and_times_of_day_and_puts_every_root_into_one_day(
    spec: list[tuple[int, list[int]]],
) -> None:
    sequence = []
    for number, (root, delays) in enumerate(spec):
        sequence.append(Event(f"{number}", f"{number}", Kind.POST, float(root)))
        sequence += [Event(f"{number}-{i}", f"{number}", Kind.REPOST, float(root + d)) for i, d in enumerate(delays)]
    folded = list(fold_events(sequence, DAY))
    roots = {event.cascade: event.time for event in folded if event.kind is Kind.POST}
    assert len({time // DAY for time in roots.values()}) == 1
    for before, after in zip(sequence, folded, strict=True):
        assert after.time - roots[after.cascade] == before.time - float(spec[int(before.cascade)][0])
        assert after.time % DAY == before.time % DAY


def test_folding_two_years_onto_one_day() -> None:
    first = datetime(2011, 3, 1, 22, 0, tzinfo=UTC).timestamp()
    second = datetime(2013, 7, 9, 8, 30, tzinfo=UTC).timestamp()
    stream = ordered(
        [
            Event("a", "a", Kind.POST, first),
            Event("a1", "a", Kind.REPOST, first + 3 * HOUR),
            Event("b", "b", Kind.POST, second),
        ],
        fold_seconds=DAY,
    )
    assert [(event.id, datetime.fromtimestamp(event.time, UTC).strftime("%Y-%m-%d %H:%M")) for event in stream] == [
        ("b", "2011-03-01 08:30"),
        ("a", "2011-03-01 22:00"),
        ("a1", "2011-03-02 01:00"),
    ]


def test_progress_counts_every_event() -> None:
    seen: list[int] = []
    list(ordered(one_each([float(i) for i in range(2500)]), progress=seen.append))
    assert seen == [1024, 2048, 2500]
