"""Records that a rebalance made the framework skip are asked for again."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from streams.engine.raw_record import Record
from streams.worker.continuity import ASK_AGAIN_SECONDS, ASKS_AT_REST, Continuity


def records(*offsets: int) -> list[Record]:
    return [Record(b"", offset=offset) for offset in offsets]


def offsets(admitted: list[Record]) -> list[int]:
    return [record.offset for record in admitted]


def test_a_steady_flow_passes() -> None:
    flow = Continuity(5)
    admitted, rewind = flow.admit(records(5, 6, 7), now=0.0)
    assert (offsets(admitted), rewind, flow.position) == ([5, 6, 7], None, 8)


def test_what_was_skipped_is_asked_for_once_and_the_rest_is_left_out_until_it_comes() -> None:
    flow = Continuity(0)
    assert flow.admit(records(0, 1, 5, 6), now=0.0)[1] == 2
    assert flow.admit(records(7, 8), now=0.5) == ([], None)
    admitted, rewind = flow.admit(records(2, 3, 4, 5, 6, 7, 8, 9), now=1.0)
    assert (offsets(admitted), rewind) == ([2, 3, 4, 5, 6, 7, 8, 9], None)
    assert (flow.left_out, flow.missing) == (4, 0)


def test_repeats_are_admitted_and_move_nothing() -> None:
    flow = Continuity(10)
    admitted, rewind = flow.admit(records(7, 8, 9, 10), now=0.0)
    assert (offsets(admitted), rewind, flow.position) == ([7, 8, 9, 10], None, 11)


def test_a_gap_is_asked_about_for_ever_while_kafka_does_not_say_that_it_is_its_own() -> None:
    """A rebalance that takes its time lets no record come, however often it is asked for."""
    flow = Continuity(2)
    assert flow.admit(records(6, 7), now=0.0)[1] == 2
    for asked in range(1, 100):
        assert flow.rewind_due(now=10.0 * asked) == 2
    flow.after_rebalance()
    assert flow.admit(records(6, 7), now=991.0) == ([], None)
    assert flow.admit(records(6, 7), now=992.0) == ([], 2)
    admitted, rewind = flow.admit(records(2, 3, 4, 5, 6, 7), now=993.0)
    assert (offsets(admitted), rewind, flow.missing) == ([2, 3, 4, 5, 6, 7], None, 0)


def test_a_gap_of_kafkas_own_is_accepted_and_so_are_those_after_it() -> None:
    flow = Continuity(2)
    assert flow.admit(records(6, 7), now=0.0)[1] == 2
    flow.goes_on_at(6)
    admitted, rewind = flow.admit(records(6, 7, 8), now=1.0)
    assert (offsets(admitted), rewind) == ([6, 7, 8], None)
    assert flow.missing == 4
    assert offsets(flow.admit(records(12), now=2.0)[0]) == [12], "a topic of transactions has many"
    assert flow.missing == 7
    flow.goes_on_at(11)
    assert (flow.position, flow.missing) == (13, 7), "what was passed is passed"
    flow.after_rebalance()
    assert flow.admit(records(20), now=3.0) == ([], 13)


def test_a_rewind_that_was_undone_is_asked_for_again() -> None:
    flow = Continuity(2)
    flow.admit(records(6), now=0.0)
    assert flow.rewind_due(ASK_AGAIN_SECONDS / 2) is None
    assert flow.rewind_due(ASK_AGAIN_SECONDS) == 2
    assert flow.rewind_due(ASK_AGAIN_SECONDS * 1.5) is None
    assert offsets(flow.admit(records(2, 3), now=9.0)[0]) == [2, 3]
    assert flow.rewind_due(99.0) is None


def test_a_gap_at_the_very_end_is_found_when_nothing_comes() -> None:
    flow = Continuity(2)
    assert flow.rewind_at_rest(2) is None
    assert [flow.rewind_at_rest(4) for _ in range(ASKS_AT_REST + 2)] == [2] * ASKS_AT_REST + [None, None]
    assert flow.rewind_at_rest(5) == 2, "more has come: ask again"


@given(st.integers(0, 10_000), st.integers(1, 100), st.integers(1, 12))
def test_whatever_is_dropped_every_record_is_admitted_in_order(seed: int, length: int, batch: int) -> None:
    """A consumer that skips at random, obeys a rewind late or not at all, and repeats."""
    rng = random.Random(seed)
    flow = Continuity(0)
    seen: list[int] = []
    at = 0
    asked: int | None = None
    for step in range(100_000):
        if asked is not None and rng.random() < 0.5:
            at, asked = (asked if rng.random() < 0.8 else at), None
        at = min(length, at + (rng.randrange(5) if rng.random() < 0.2 and not step % 8 else 0))
        arriving = records(*range(at, min(at + rng.randint(1, batch), length)))
        at += len(arriving)
        admitted, rewind = flow.admit(arriving, now=float(step))
        seen += offsets(admitted)
        for answer in (rewind, flow.rewind_due(float(step)), None if arriving else flow.position):
            asked = answer if answer is not None else asked
        if flow.position >= length:
            break
    assert list(dict.fromkeys(seen)) == list(range(length))
    assert flow.missing == 0
