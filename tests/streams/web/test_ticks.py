"""Updates come as often as was asked for, whatever each takes, and never in a burst."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.web.ticks import Ticks


def test_what_an_update_takes_is_no_part_of_the_pause() -> None:
    ticks, now = Ticks(1 / 60, now=5.0), 5.0
    for _ in range(60):
        now += 0.002  # the update
        now += ticks.wait(now)
    assert now == pytest.approx(6.0)


@given(takes=st.lists(st.floats(0.0, 3.0), min_size=2, max_size=30))
def test_two_updates_are_never_nearer_than_the_pause_by_more_than_the_first_was_late(takes: list[float]) -> None:
    ticks, now = Ticks(1.0, now=0.0), 0.0
    begun: list[float] = []
    for take in takes:
        begun.append(now)
        now += take
        wait = ticks.wait(now)
        assert wait >= 0.0
        now += wait
    assert len(begun) <= 1 + begun[-1] + 1e-9  # no more than one a second, however late some were
