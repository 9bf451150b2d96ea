"""Changes of size say the same as views of every moment."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from graph import Cascade, Event, Kind
from graph.changes import size_changes

REACTION = st.tuples(st.integers(0, 30), st.sampled_from(["repost", "quote", "reply", "undo"]), st.integers(0, 12))


@given(st.lists(REACTION, max_size=25), st.booleans(), st.integers(2, 30))
def test_the_sum_of_the_steps_is_the_size_as_of_any_time(
    reactions: list[tuple[int, str, int]], root: bool, kept: int
) -> None:
    cascade = Cascade("p", max_events=kept)
    if root:
        cascade.apply(Event(id="p", cascade="p", kind=Kind.POST, time=5.0))
    for i, (time, kind, parent) in enumerate(reactions):
        cascade.apply(Event(id=f"e{i}", cascade="p", kind=Kind(kind), time=float(time), parent=f"e{parent}"))
    changes = size_changes(cascade)
    assert (np.diff(changes.times) >= 0).all()
    for time in (*range(-1, 32), 59, 60, 61, 120):
        upto = int(np.searchsorted(changes.times, time, side="right"))
        assert int(changes.steps[:upto].sum()) == cascade.size_at(float(time))


def test_who_reshared_and_what_hung_on_the_root() -> None:
    cascade = Cascade("p")
    cascade.apply(Event(id="p", cascade="p", kind=Kind.POST, time=0.0))
    cascade.apply(Event(id="a", cascade="p", kind=Kind.REPOST, time=1.0, user="ann", parent="p"))
    cascade.apply(Event(id="b", cascade="p", kind=Kind.REPOST, time=2.0, user="bob", parent="a"))
    cascade.apply(Event(id="x", cascade="p", kind=Kind.UNDO, time=3.0, parent="a"))
    changes = size_changes(cascade)
    assert changes.times.tolist() == [1.0, 2.0, 3.0]
    assert changes.steps.tolist() == [1, 1, -1]
    assert changes.direct.tolist() == [True, False, True]
    assert changes.users[0] == changes.users[2] != changes.users[1]


def test_a_parent_that_came_later_was_not_known_before() -> None:
    cascade = Cascade("p")
    cascade.apply(Event(id="p", cascade="p", kind=Kind.POST, time=0.0))
    cascade.apply(Event(id="b", cascade="p", kind=Kind.REPOST, time=1.0, parent="a"))
    cascade.apply(Event(id="a", cascade="p", kind=Kind.REPOST, time=2.0, parent="p"))
    assert size_changes(cascade).direct.tolist() == [True, True]
