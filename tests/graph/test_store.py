"""Who is kept, who leaves, and what becomes of the events of those that left."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph import Cascade, CascadeStore, Departure, Event, Kind, Outcome
from graph.departed import Departed
from graph.identity import key_of


def post(cascade: str, time: float) -> Event:
    return Event(id=cascade, cascade=cascade, kind=Kind.POST, time=time)


def repost(cascade: str, name: str, time: float) -> Event:
    return Event(id=name, cascade=cascade, kind=Kind.REPOST, time=time, parent=cascade)


def ids(cascades: list[Cascade]) -> list[str]:
    return [cascade.id for cascade in cascades]


def test_a_cascade_lives_until_the_watermark_passes_its_retention() -> None:
    store = CascadeStore(retention_seconds=100.0)
    assert store.apply(post("a", 0.0)) is Outcome.APPLIED
    assert store.apply(repost("a", "x", 100.0)) is Outcome.APPLIED
    assert store.apply(repost("a", "x", 100.0)) is Outcome.DUPLICATE
    assert store.apply(repost("a", "y", 100.5)) is Outcome.LATE
    assert store.mature(100.0) == []
    assert ids(store.mature(100.001)) == ["a"]
    assert len(store) == 0
    assert store.get("a") is None
    assert store.departures == {Departure.MATURED: 1}
    assert store.apply(repost("a", "z", 1.0), 100.001) is Outcome.LATE


def test_whether_an_event_is_late_does_not_depend_on_when_mature_was_called() -> None:
    store = CascadeStore(retention_seconds=100.0)
    store.apply(post("a", 0.0))
    assert store.apply(repost("a", "x", 90.0), watermark=100.5) is Outcome.LATE
    assert store.apply(post("b", 0.0), watermark=100.5) is Outcome.LATE
    assert "b" not in store


def test_a_root_that_arrives_late_makes_its_cascade_leave_earlier() -> None:
    store = CascadeStore(retention_seconds=1000.0)
    store.apply(repost("a", "x", 900.0))
    store.apply(post("a", 0.0))
    store.apply(post("b", 500.0))
    assert ids(store.mature(1500.0)) == ["a"]
    assert ids(store.mature(1500.5)) == ["b"]


def test_those_that_leave_do_so_in_order_of_their_time() -> None:
    store = CascadeStore(retention_seconds=100.0)
    for name, time in (("b", 3.0), ("c", 1.0), ("a", 3.0)):
        store.apply(post(name, time))
    store.mature(101.0)
    assert ids(store.mature(math.inf)) == ["c", "a", "b"]


def test_idle_cascades_leave_and_busy_ones_stay() -> None:
    store = CascadeStore(retention_seconds=10_000.0, idle_seconds=200.0)
    store.apply(post("busy", 0.0))
    store.apply(post("idle", 0.0))
    store.apply(repost("busy", "x", 190.0))
    assert ids(store.mature(201.0)) == ["idle"]
    assert ids(store.mature(390.0)) == []
    assert store.apply(repost("busy", "y", 380.0), watermark=391.0) is Outcome.LATE
    assert ids(store.mature(391.0)) == ["busy"]
    assert store.departures == {Departure.IDLE: 2}


def test_a_full_store_evicts_withdrawn_cascades_first_then_the_idlest() -> None:
    store = CascadeStore(max_live_cascades=3)
    for number, name in enumerate("abc"):
        store.apply(post(name, float(number)))
    store.apply(repost("a", "x", 50.0))
    store.apply(Event(id="u", cascade="c", kind=Kind.UNDO, time=51.0, parent="c"))
    store.apply(post("d", 52.0))
    assert "c" not in store
    store.apply(post("e", 53.0))
    assert "b" not in store
    assert len(store) == 3
    assert ids(store.mature(53.0)) == ["c", "b"]
    assert store.departures == {Departure.EVICTED: 2}
    assert store.apply(repost("b", "y", 54.0)) is Outcome.LATE


def test_an_event_that_says_nothing_starts_no_cascade() -> None:
    store = CascadeStore()
    assert store.apply(repost("a", "a", 1.0)) is Outcome.DUPLICATE
    assert len(store) == 0


def test_an_undo_alone_is_kept_until_it_is_old() -> None:
    store = CascadeStore(retention_seconds=100.0)
    assert store.apply(Event(id="u", cascade="a", kind=Kind.UNDO, time=7.0, parent="x")) is Outcome.APPLIED
    assert store.apply(repost("a", "x", 1.0)) is Outcome.APPLIED
    cascade = store.get("a")
    assert cascade is not None
    assert cascade.size == 0
    assert ids(store.mature(102.0)) == ["a"]


def test_restored_cascades_live_on_and_departed_ones_stay_away() -> None:
    old = CascadeStore(retention_seconds=100.0)
    old.apply(post("a", 0.0))
    store = CascadeStore(retention_seconds=100.0)
    for cascade in old:
        store.insert(Cascade.restore([cascade.snapshot()]))
    store.remember_departed("gone")
    assert store.apply(repost("gone", "x", 1.0)) is Outcome.LATE
    assert store.apply(repost("a", "x", 1.0)) is Outcome.APPLIED
    assert ids(store.mature(101.0)) == ["a"]


@pytest.mark.parametrize("options", [{"retention_seconds": 0.0}, {"idle_seconds": -1.0}, {"max_live_cascades": 0}])
def test_impossible_bounds_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        CascadeStore(**options)  # type: ignore[arg-type]


def stream(random: st.DataObject) -> Iterator[tuple[Event, float]]:
    watermark = -math.inf
    for _ in range(random.draw(st.integers(0, 40))):
        name = random.draw(st.sampled_from("abcdef"))
        time = random.draw(st.integers(0, 400))
        event = post(name, time) if random.draw(st.booleans()) else repost(name, f"x{time}", time)
        yield event, watermark
        watermark = max(watermark, time - 20.0)


@given(st.data(), st.sampled_from([None, 70.0]))
def test_how_often_mature_is_called_changes_neither_outcomes_nor_departures(
    data: st.DataObject, idle_seconds: float | None
) -> None:
    events = list(stream(data))
    often, seldom = (CascadeStore(retention_seconds=100.0, idle_seconds=idle_seconds) for _ in range(2))
    gone: list[Cascade] = []
    for event, watermark in events:
        gone += often.mature(watermark)
        assert often.apply(event, watermark) is seldom.apply(event, watermark)
    gone += often.mature(1e9)
    at_once = {cascade.id: cascade.snapshot() for cascade in seldom.mature(1e9)}
    assert {cascade.id: cascade.snapshot() for cascade in gone} == at_once
    assert len(gone) == len(at_once)


@given(st.lists(st.integers(0, 5000), max_size=3000), st.integers(1, 400))
def test_departed_remembers_at_least_half_its_capacity(numbers: list[int], capacity: int) -> None:
    departed = Departed(capacity)
    for number in numbers:
        departed.add(key_of(str(number)))
    assert len(departed) <= max(capacity, 2)
    for number in numbers[-max(1, capacity // 2) :]:
        assert key_of(str(number)) in departed
    assert key_of("never") not in departed


@given(st.data(), st.integers(500, 5000))
def test_the_bound_on_bytes_holds_and_the_books_are_right(data: st.DataObject, limit: int) -> None:
    store = CascadeStore(retention_seconds=100.0, max_bytes=limit)
    gone: list[str] = []
    for event, watermark in stream(data):
        store.apply(event, watermark)
        assert store.bytes == sum(cascade.memory_bytes for cascade in store) <= limit
        gone += ids(store.mature(watermark))
        assert store.bytes == sum(cascade.memory_bytes for cascade in store)
    assert len(gone) == len(set(gone)) == store.departures.total()


def test_who_leaves_first_when_bytes_run_out() -> None:
    """Withdrawn, born ahead of the clock, matured, idle; and of the others the smallest."""
    store = CascadeStore(retention_seconds=1000.0, max_bytes=1e9)
    now = 1100.0
    times = {"large": 500.0, "small": 500.0, "idle": 400.0, "matured": 50.0, "ahead": 9e6, "gone": 500.0}
    for name, time in times.items():
        store.apply(post(name, time))
    for n in range(20):
        store.apply(repost("large", f"l{n}", 1050.0 + n))
        store.apply(repost("idle", f"i{n}", 410.0 + n))
    store.apply(repost("small", "s", 1090.0))
    store.apply(Event(id="u", cascade="gone", kind=Kind.UNDO, time=1000.0, parent="gone"))
    left: list[str] = []
    for n in range(5):
        store.max_bytes = store.bytes  # the next event is one too many
        store.apply(repost("large", f"more{n}", 1095.0), now)
        left += ids(store.mature(-math.inf))
    assert left == ["gone", "ahead", "matured", "idle", "small"]


def test_cascades_ahead_of_the_clock_are_bounded_farthest_first() -> None:
    store = CascadeStore(max_ahead=4)
    for n in range(10):
        store.apply(post(f"c{n}", 1e6 + (n * 7) % 10))
        store.note_ahead(f"c{n}", believed_until=1000.0)
    assert sorted(cascade.root_time for cascade in store) == [1e6, 1e6 + 1, 1e6 + 2, 1e6 + 3]
    assert store.departures == {Departure.EVICTED: 6}
    store.apply(post("d", 1e6 + 4))
    store.note_ahead("d", believed_until=1e6 + 2)
    assert len(store) == 5, "whom the clock has reached counts no more"
