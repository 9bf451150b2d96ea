"""Who is how large: counted by source and slot, in bins of a sixteenth of an octave."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streams.alerts.histograms import BINS_PER_OCTAVE, MAX_SOURCES, REST, Ranks, Slots, bin_of, count, forget, merged
from streams.alerts.histograms import place_of as place


def slots_of(sizes: list[float], source: str = "") -> Slots:
    slots: Slots = {}
    for number, size in enumerate(sizes):
        count(slots, float(number % 3), source, bin_of(size))
    return slots


@given(st.lists(st.floats(0, 1e7), min_size=1, max_size=200), st.floats(0, 1e7))
def test_a_share_is_that_of_all_sizes_to_a_bin(sizes: list[float], size: float) -> None:
    share = Ranks(merged(slots_of(sizes), 0.0, 3.0)).share_at_least("", size)
    below = (1 + size) * 2 ** (-1.001 / BINS_PER_OCTAVE) - 1
    assert np.mean([one >= size for one in sizes]) <= share <= np.mean([one >= below for one in sizes])


def test_nothing_is_known_of_a_source_nobody_counted() -> None:
    assert math.isnan(Ranks({}).share_at_least("weibo", 3.0))
    assert Ranks({}).total("weibo") == 0


def test_only_slots_before_the_present_one_count() -> None:
    slots = slots_of([1.0, 2.0, 3.0])
    assert merged(slots, 0.0, 2.0)[""].total() == 2
    assert forget(slots, 2.0)
    assert not forget(slots, 2.0)
    assert merged(slots, 0.0, 9.0)[""].total() == 1


def test_beyond_the_known_sources_others_count_together() -> None:
    slots: Slots = {}
    for number in range(MAX_SOURCES + 5):
        count(slots, 0.0, place(slots, f"s{number}"), bin_of(number))
    ranks = Ranks(merged(slots, 0.0, 1.0))
    assert len(slots[0.0]) == MAX_SOURCES + 1
    assert ranks.total("s0") == 1
    assert ranks.total("never seen") == ranks.total(REST) == 5
