"""The compact cascade against the oracle, and its laws: order of arrival, purity of the past, bounds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph import Cascade, CascadeView, Event, Kind, Outcome
from graph.identity import SCAN_NODES
from graph.irregular import MAX_WAITING
from tests.graph.hostile import AS_OF, CASCADE, IDS, arrivals, distinct_events
from tests.graph.oracle import OracleCascade, OracleView


def rows_of(view: CascadeView) -> list[dict[str, object]]:
    columns = {
        "id": view.ids,
        "age": view.ages,
        "parent": view.parents,
        "depth": view.depths,
        "user": view.users,
        "kind": view.kinds,
        "inferred": view.inferred,
        "followers": view.followers,
    }
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*(c.tolist() for c in columns.values()), strict=True)]
    for row in rows:
        row["followers"] = None if math.isnan(row["followers"]) else int(row["followers"])
    return rows


def assert_same_view(view: CascadeView, expected: OracleView) -> None:
    assert rows_of(view) == expected.rows
    assert (view.has_root, view.root_time, view.size) == (expected.has_root, expected.root_time, expected.size)


def assert_same_state(cascade: Cascade, oracle: OracleCascade) -> None:
    final = oracle.view()
    assert cascade.size == final.size
    assert cascade.depth == final.depth
    assert cascade.users == final.users
    assert cascade.nodes == len(final.rows)
    assert cascade.has_root == final.has_root
    assert cascade.root_time == final.root_time
    assert cascade.withdrawn_at == oracle.withdrawn_at
    times = [node.event.time for node in oracle.nodes.values()]
    if oracle.root is not None:
        times.append(oracle.root.event.time)
    assert cascade.first_time == min(times, default=math.inf)
    assert cascade.last_time == max(times, default=-math.inf)


def reaction(name: str, time: float, parent: str | None = CASCADE, kind: Kind = Kind.REPOST, **more: object) -> Event:
    return Event(id=name, cascade=CASCADE, kind=kind, time=time, parent=parent, **more)  # type: ignore[arg-type]


def post(time: float = 0.0, name: str = CASCADE, **more: object) -> Event:
    return Event(id=name, cascade=CASCADE, kind=Kind.POST, time=time, **more)  # type: ignore[arg-type]


def undo(target: str, time: float) -> Event:
    return Event(id=f"undo-{target}-{time}", cascade=CASCADE, kind=Kind.UNDO, time=time, parent=target)


@settings(max_examples=600)
@given(arrivals(), st.lists(AS_OF, min_size=1, max_size=4))
def test_hostile_sequences_give_what_the_oracle_says(
    sequence: list[tuple[Event, float]], instants: list[float]
) -> None:
    cascade, oracle = Cascade(CASCADE), OracleCascade(CASCADE)
    for event, watermark in sequence:
        before = cascade.version
        outcome = cascade.apply(event, watermark)
        assert outcome is oracle.apply(event, watermark)
        assert (cascade.version > before) == (outcome is Outcome.APPLIED)
    if cascade.version:
        assert_same_state(cascade, oracle)
    for as_of in instants:
        if cascade.version:
            view, expected = cascade.view(as_of), oracle.view(as_of)
            assert_same_view(view, expected)
            assert cascade.size_at(as_of) == expected.size


@given(st.data())
def test_reading_in_between_changes_nothing(data: st.DataObject) -> None:
    read, unread = Cascade(CASCADE), Cascade(CASCADE)
    for event, watermark in data.draw(arrivals()):
        read.apply(event, watermark)
        unread.apply(event, watermark)
        read.view(data.draw(AS_OF))
        assert read.depth >= 0
        assert read.users >= 0
    assert rows_of(read.view()) == rows_of(unread.view())
    assert (read.size, read.depth, read.users) == (unread.size, unread.depth, unread.users)


@settings(max_examples=300)
@given(distinct_events(), st.randoms(use_true_random=False), AS_OF)
def test_the_order_of_arrival_does_not_matter(events: list[Event], random: object, as_of: float) -> None:
    one, other = Cascade(CASCADE), Cascade(CASCADE)
    for event in events:
        one.apply(event)
    random.shuffle(events)  # type: ignore[attr-defined]
    for event in events:
        other.apply(event)
    if events:
        assert rows_of(one.view()) == rows_of(other.view())
        assert rows_of(one.view(as_of)) == rows_of(other.view(as_of))
        summary = ("size", "depth", "users", "nodes", "root_time", "first_time", "last_time", "withdrawn_at")
        assert [getattr(one, name) for name in summary] == [getattr(other, name) for name in summary]


@settings(max_examples=300)
@given(arrivals())
def test_the_past_never_changes_once_the_watermark_has_passed_it(
    sequence: list[tuple[Event, float]],
) -> None:
    """From the first instant on at which there is something to see."""
    cascade = Cascade(CASCADE)
    remembered: list[tuple[float, CascadeView]] = []
    begins = math.inf
    for event, watermark in sequence:
        passed = math.nextafter(watermark, -math.inf)
        if begins <= passed:
            remembered.append((passed, cascade.view(passed)))
        if cascade.apply(event, watermark) is Outcome.APPLIED and event.kind is not Kind.UNDO:
            late = watermark > event.time
            begins = min(begins, math.nextafter(watermark, math.inf) if late else event.time)
    for as_of, view in remembered:
        assert rows_of(cascade.view(as_of)) == rows_of(view)
        assert cascade.view(as_of).root_time == view.root_time


@given(distinct_events())
def test_duplicates_change_nothing(events: list[Event]) -> None:
    cascade = Cascade(CASCADE)
    for event in events:
        cascade.apply(event)
    state = cascade.snapshot()
    for event in events:
        assert cascade.apply(event) is Outcome.DUPLICATE
    assert cascade.snapshot() == state


def test_a_long_cascade_outgrows_scan_index_and_narrow_records() -> None:
    cascade = Cascade(CASCADE)
    cascade.apply(post())
    count = 70_000
    for number in range(1, count):
        # A chain down to depth 400, then everybody answers somebody far above.
        parent = number - 1 if number < 400 else number // 3
        event = reaction(f"n{number}", float(number), f"n{parent}" if parent else CASCADE, user=f"u{number % 1000}")
        assert cascade.apply(event) is Outcome.APPLIED
    assert (cascade.size, cascade.nodes, cascade.users) == (count - 1, count, 1000)
    view = cascade.view()
    expected = [0]
    for number in range(1, count):
        expected.append(expected[number - 1 if number < 400 else number // 3] + 1)
    assert view.depths.tolist() == expected
    assert cascade.depth == max(expected)
    for number in (1, SCAN_NODES, 50_000, 65_534, 65_535, 65_536, count - 1):
        assert cascade.apply(reaction(f"n{number}", 1.0)) is Outcome.DUPLICATE


def test_a_chain_that_arrives_backwards_is_relinked_whole() -> None:
    cascade = Cascade(CASCADE)
    for number in reversed(range(1, 500)):
        cascade.apply(reaction(f"n{number}", float(number), f"n{number - 1}" if number > 1 else CASCADE))
    cascade.apply(post())
    assert cascade.depth == 499
    assert cascade.view().parents.tolist() == list(range(-1, 499))


def test_only_so_many_children_wait_and_the_oldest_give_up() -> None:
    cascade = Cascade(CASCADE)
    cascade.apply(post())
    for number in range(MAX_WAITING + 1):
        cascade.apply(reaction(f"n{number}", 1.0 + number, f"parent-{number}"))
    cascade.apply(reaction("parent-0", 0.5))
    cascade.apply(reaction("parent-1", 0.5))
    view = cascade.view()
    assert np.count_nonzero(view.depths == 2) == 1


def test_only_so_many_undos_wait_and_the_oldest_are_forgotten() -> None:
    cascade = Cascade(CASCADE)
    cascade.apply(post())
    for number in range(MAX_WAITING + 1):
        cascade.apply(undo(f"n{number}", 10.0))
    cascade.apply(reaction("n0", 1.0))
    cascade.apply(reaction("n1", 1.0))
    assert cascade.size == 1


def test_above_the_maximum_reshares_are_counted_by_the_minute() -> None:
    cascade = Cascade(CASCADE, max_events=3)
    cascade.apply(post(time=30.0))
    for number in range(3):
        cascade.apply(reaction(f"n{number}", 40.0))
    assert cascade.apply(reaction("n0", 50.0)) is Outcome.DUPLICATE
    assert cascade.apply(reaction("x", 50.0)) is Outcome.COUNTED
    assert cascade.apply(reaction("y", 70.0, kind=Kind.REPLY)) is Outcome.COUNTED
    assert cascade.apply(reaction("z", 70.0, kind=Kind.QUOTE)) is Outcome.COUNTED
    assert (cascade.size, cascade.nodes, cascade.binned, cascade.last_time) == (5, 4, 2, 70.0)
    assert [cascade.size_at(as_of) for as_of in (59.0, 60.0, 119.0, 120.0)] == [3, 4, 4, 5]
    view = cascade.view(100.0)
    assert (view.size, view.binned, len(view), len(view.reshare_ages)) == (4, 1, 4, 3)


def test_a_counted_late_reshare_is_not_seen_before_the_watermark() -> None:
    cascade = Cascade(CASCADE, max_events=1)
    cascade.apply(post())
    cascade.apply(reaction("a", 1.0))
    cascade.apply(reaction("b", 2.0), watermark=500.0)
    assert cascade.size_at(500.0) == 1
    assert cascade.size_at(540.0) == 2


def test_the_root_answers_to_its_own_id_and_to_the_cascades() -> None:
    cascade = Cascade(CASCADE)
    cascade.apply(reaction("a", 1.0, "p"))
    cascade.apply(reaction("b", 2.0, "a"))
    cascade.apply(post(name="p"))
    cascade.apply(reaction("d", 3.0, CASCADE))
    assert cascade.view().parents.tolist() == [-1, 0, 1, 0]
    assert cascade.apply(undo("p", 9.0)) is Outcome.APPLIED
    assert cascade.withdrawn_at == 9.0
    assert cascade.apply(undo(CASCADE, 9.0)) is Outcome.DUPLICATE
    assert cascade.size == 3


def test_a_view_is_shared_while_it_is_held_and_cannot_be_written() -> None:
    cascade = Cascade(CASCADE)
    cascade.apply(post())
    cascade.apply(reaction("a", 1.0))
    view = cascade.view(1.0)
    assert cascade.view(1.0) is view
    assert cascade.view(2.0) is not view
    with pytest.raises(ValueError, match="read-only"):
        view.ages[0] = 1.0
    cascade.apply(reaction("b", 1.0))
    assert cascade.view(1.0) is not view
    assert len(view) == 2


def test_age_counts_from_the_root_and_is_never_negative() -> None:
    cascade = Cascade(CASCADE)
    cascade.apply(post(time=100.0))
    cascade.apply(reaction("early", 90.0))
    assert cascade.view(95.0).age_seconds == 5.0  # the root is not visible yet: ages count from the earliest event
    assert cascade.view(160.0).age_seconds == 60.0
    assert cascade.view(160.0).ages.tolist() == [0.0, 0.0]
    assert cascade.view(80.0).age_seconds == 0.0


def test_facts_of_the_root_are_known_with_the_root() -> None:
    cascade = Cascade(CASCADE)
    cascade.apply(reaction("a", 1.0, followers=7))
    assert cascade.root_followers is None
    cascade.apply(post(time=0.0, followers=5, verified=True, lang="zh", source="weibo"))
    facts = (cascade.root_followers, cascade.root_verified, cascade.root_lang, cascade.root_source)
    assert facts == (5, True, "zh", "weibo")
    view = cascade.view()
    assert (view.root_followers, view.root_verified, view.root_lang, view.root_source) == facts
    assert view.followers.tolist() == [5.0, 7.0]


def test_ids_of_the_strategies_do_not_collide() -> None:
    assert len(set(IDS)) == len(IDS)


@settings(max_examples=300)
@given(arrivals())
def test_what_arrives_takes_back_no_post_as_of_times_that_the_watermark_has_passed(
    sequence: list[tuple[Event, float]],
) -> None:
    """Forecasts as of such times are out: whether the post stood then must not be answered otherwise later."""
    cascade = Cascade(CASCADE)
    for event, watermark in sequence:
        before = cascade.withdrawn_at
        cascade.apply(event, watermark)
        assert cascade.withdrawn_at == before or cascade.withdrawn_at >= watermark


def test_an_undo_that_waits_for_a_late_post_takes_it_back_when_it_comes() -> None:
    cascade = Cascade(CASCADE)
    cascade.apply(reaction("a", 1.0), 0.0)
    cascade.apply(undo("own", 5.0), 2.0)
    assert cascade.withdrawn_at == math.inf, "nobody knows yet that it names the post"
    cascade.apply(post(0.0, name="own"), 50.0)
    assert cascade.withdrawn_at == math.nextafter(50.0, math.inf)
