"""When forecasts fall due."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.engine.schedule import Pending, Schedule, Waiting, slot_end

times = st.integers(0, 4_000_000_000_000).map(lambda ms: ms / 1000)
delays = st.sampled_from([0.25, 1.0, 7.5, 60.0, 3600.0])
names = st.text(min_size=1, max_size=8)


@given(names, times, delays)
def test_a_forecast_is_due_within_the_delay_and_never_before_its_event(cascade: str, time: float, delay: float) -> None:
    due = slot_end(cascade, time, delay)
    assert time <= due < time + delay + 1e-3


@given(names, times, delays)
def test_slot_ends_are_fixed_points_so_that_batches_cannot_shift_them(cascade: str, time: float, delay: float) -> None:
    due = slot_end(cascade, time, delay)
    assert slot_end(cascade, due, delay) == due
    after = slot_end(cascade, math.nextafter(due, math.inf), delay)
    assert after == pytest.approx(due + delay, abs=1e-3)
    assert after > due


def test_cascades_do_not_fall_due_all_at_once() -> None:
    assert len({slot_end(f"c{n}", 1_000_000.0, 60.0) for n in range(100)}) > 90


def test_updates_of_one_slot_are_coalesced_and_the_latest_event_is_named() -> None:
    schedule = Schedule(60.0)
    first = schedule.update("c", 100.0, 100.0, "a")
    end = first.as_of
    schedule.update("c", end - 1, end - 1, "z")
    schedule.update("c", end, end, "m")
    assert len(schedule) == 1
    assert schedule.due(end) == [], "another event of that very instant may come"
    assert schedule.due(math.nextafter(end, math.inf)) == [Pending("c", end, end, "m")]
    assert len(schedule) == 0


def test_of_two_events_of_one_instant_the_greater_id_is_named_whatever_the_order() -> None:
    for order in (["a", "b"], ["b", "a"]):
        schedule = Schedule(60.0)
        for event in order:
            schedule.update("c", 100.0, 100.0, event)
        assert schedule.due(math.inf)[0].event == "b"


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 600).map(float)), max_size=40), st.integers(1, 5))
def test_taking_in_small_bites_is_taking_all(updates: list[tuple[str, float]], bite: int) -> None:
    whole, bitten = Schedule(30.0), Schedule(30.0)
    for number, (cascade, time) in enumerate(updates):
        whole.update(cascade, time, time, f"{number:03}")
        bitten.update(cascade, time, time, f"{number:03}")
    expected = whole.due(math.inf)
    taken: list[Pending] = []
    while portion := bitten.due(math.inf, bite):
        taken += portion
    assert taken == expected
    assert [(p.as_of, p.cascade) for p in taken] == sorted((p.as_of, p.cascade) for p in taken)


def test_under_overload_only_the_latest_of_a_cascade_counts_and_the_chosen_go_first() -> None:
    now = 100.0
    schedule = Schedule(60.0, lambda: now)
    for minute in range(5):
        for cascade in ("small", "big", "middling"):
            schedule.update(cascade, minute * 60.0, minute * 60.0, f"{cascade}{minute}")
    assert schedule.due_count(math.inf) == 15
    now = 107.0
    asked: dict[str, float] = {}

    def choose(waiting: Iterable[Waiting]) -> list[str]:
        asked.update({cascade: waits for cascade, _, waits in waiting})
        return ["middling", "big"]

    chosen, superseded = schedule.due_by_choice(math.inf, choose)
    assert asked == {"small": 7.0, "big": 7.0, "middling": 7.0}
    assert [pending.event for pending in chosen] == ["middling4", "big4"]
    assert len(superseded) == 12
    assert [pending.event for pending in schedule.all_pending()] == ["small4"]


def test_a_cascade_waits_from_when_its_oldest_due_forecast_fell_due() -> None:
    now = 0.0
    schedule = Schedule(10.0, lambda: now)
    first = schedule.update("c", 5.0, 5.0, "a").as_of
    assert schedule.due_count(first) == 0
    now = 1.0
    assert schedule.due_count(first + 0.001) == 1
    now = 4.0
    second = schedule.update("c", first + 5.0, first + 5.0, "b").as_of
    assert schedule.due_count(second + 0.001) == 2
    now = 6.0
    assert schedule.waits_seconds() == 5.0
    assert schedule.due(second + 0.001, 1)[0].as_of == first
    assert schedule.waits_seconds() == 2.0, "the other one fell due later"
    schedule.due(second + 0.001)
    assert schedule.waits_seconds() == 0.0


def test_a_cascade_does_not_lose_its_place_to_an_update() -> None:
    now = 0.0
    schedule = Schedule(10.0, lambda: now)
    for minute in range(4):
        now = float(minute)
        schedule.update("c", 60.0 * minute, 60.0 * minute, f"c{minute}")
        seen = list[Waiting]()
        schedule.due_by_choice(math.inf, lambda waiting, into=seen: into.extend(waiting) or [])  # type: ignore[misc]
        assert [(cascade, waits) for cascade, _, waits in seen] == [("c", now)]
    assert [(one.cascade, one.event) for one in schedule.all_pending()] == [("c", "c3")]
    assert schedule.waiting_since(9) == [0.0]


@given(st.lists(st.integers(0, 900).map(float), min_size=1, max_size=20), st.integers(-10, 1000).map(float))
def test_what_is_not_made_any_more_replaces_nothing(times: list[float], horizon: float) -> None:
    schedule = Schedule(10.0)
    for time in times:
        schedule.update("c", time, time, f"{time:04}")
    due = [pending.as_of for pending in schedule.all_pending()]

    def choose(waiting: Iterable[Waiting]) -> list[str]:
        return [cascade for cascade, _, _ in waiting]

    taken, superseded = schedule.due_by_choice(math.inf, choose, lambda _, as_of: as_of >= horizon)
    before = [as_of for as_of in due if as_of < horizon]
    assert {one.as_of for one in taken} >= {*before[-1:], *(as_of for as_of in due[len(before) or 1 :])}
    assert sorted(one.as_of for one in taken + superseded) == due
    assert all(one.as_of < horizon for one in superseded)
    assert len(schedule) == 0


def test_due_count_and_next() -> None:
    schedule = Schedule(60.0)
    assert schedule.next_as_of() == math.inf
    due = schedule.update("c", 5.0, 5.0, "a").as_of
    assert schedule.next_as_of() == due
    assert (schedule.due_count(due), schedule.due_count(due + 0.001)) == (0, 1)
    assert (schedule.is_due(due), schedule.is_due(due + 0.001)) == (False, True)


@given(st.data())
def test_the_running_count_is_that_of_a_recount(data: st.DataObject) -> None:
    """Whatever is updated, taken, put back, superseded or forgotten, and however the watermark rises in between."""
    schedule = Schedule(10.0)
    watermark = 0.0
    for _ in range(data.draw(st.integers(0, 40))):
        cascade, time = data.draw(st.sampled_from("abcd")), data.draw(st.integers(0, 300).map(float))
        act = data.draw(st.sampled_from(["update", "update", "update", "rise", "take", "promising", "forget"]))
        if act == "update":
            schedule.update(cascade, time, time, f"e{time}")
        elif act == "rise":
            watermark = max(watermark, time)
        elif act == "take":
            below = data.draw(st.sampled_from([watermark, watermark / 2]))
            taken = schedule.due(below, data.draw(st.integers(0, 3)))
            assert [one.as_of for one in taken] == sorted(one.as_of for one in taken)
            assert all(one.as_of < below for one in taken)
        elif act == "promising":
            schedule.due_by_choice(watermark, lambda waiting: sorted((one[0] for one in waiting), reverse=True)[:1])
        else:
            before, number = [one for one in schedule.all_pending() if one.cascade != cascade], len(schedule)
            assert schedule.forget({cascade}) == number - len(before)
            assert schedule.all_pending() == before
        pending = schedule.all_pending()
        assert schedule.due_count(watermark) == sum(one.as_of < watermark for one in pending)
        assert schedule.next_as_of() == min((one.as_of for one in pending), default=math.inf)
        assert len(schedule) == len(pending)
