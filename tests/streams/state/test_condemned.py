"""When a segment that was cleaned may be deleted."""

from __future__ import annotations

import math

from streams.state.condemned import Cleaned, Condemned


def test_it_waits_for_a_commit_beyond_the_state_that_made_it_dispensable() -> None:
    condemned = Condemned(at_once=False)
    first, second = Cleaned(100, [b"a"], 10), Cleaned(200, [b"b", b"c"], 20)
    condemned.add(first)
    condemned.add(second)
    condemned.committed(100)
    assert [*condemned.take(math.inf)] == []
    condemned.committed(101)
    assert [*condemned.take(math.inf)] == [first]
    assert condemned.stored_bytes == 20
    condemned.committed(500)
    assert [*condemned.take(math.inf)] == [second]
    assert condemned.stored_bytes == 0


def test_what_waits_without_commits_is_bounded() -> None:
    condemned = Condemned(at_once=False)
    segments = [Cleaned(number, [b"%d" % number], 10) for number in range(5)]
    for segment in segments:
        condemned.add(segment)
    assert [*condemned.take(30)] == segments[:2]


def test_nothing_waits_where_nobody_else_can_own_the_log() -> None:
    condemned = Condemned(at_once=True)
    condemned.add(Cleaned(100, [b"a"], 10))
    assert [*condemned.take(math.inf)] == [Cleaned(100, [b"a"], 10)]
