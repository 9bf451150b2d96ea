"""Batches are parted as cheaply as any parting of neighbouring lengths could be."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasters.concat.parting import STEP_ROWS, parts_of_like_length


def cost(lengths: np.ndarray, parts: list[np.ndarray]) -> int:
    return sum(int(lengths[rows].max()) * (len(rows) + STEP_ROWS) for rows in parts)


@given(lengths=st.lists(st.integers(1, 50), max_size=9), most=st.integers(1, 9))
def test_every_row_is_in_one_part_and_none_is_larger_than_may_be(lengths: list[int], most: int) -> None:
    parts = parts_of_like_length(np.array(lengths, dtype=np.int64), most)
    assert sorted(row for rows in parts for row in rows.tolist()) == list(range(len(lengths)))
    assert all(1 <= len(rows) <= most for rows in parts)


@given(groups=st.lists(st.tuples(st.integers(1, 50), st.integers(1, 90)), min_size=1, max_size=6))
def test_no_parting_at_the_borders_of_lengths_is_cheaper(groups: list[tuple[int, int]]) -> None:
    lengths = np.sort(np.concatenate([np.full(count, length) for length, count in groups]))
    found = cost(lengths, parts_of_like_length(lengths, 1000))
    borders = np.flatnonzero(np.diff(lengths)) + 1
    for number in range(len(borders) + 1):
        for chosen in combinations(borders.tolist(), number):
            assert found <= cost(lengths, np.split(np.arange(len(lengths)), chosen))


@pytest.mark.parametrize(("short", "long", "parts"), [(10, 10, 1), (300, 300, 2)])
def test_few_cascades_stay_together_and_many_part(short: int, long: int, parts: int) -> None:
    lengths = np.array([5] * short + [50] * long)
    assert len(parts_of_like_length(lengths, 1000)) == parts
