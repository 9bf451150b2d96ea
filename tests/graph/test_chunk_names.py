"""Rows of equal names are found together, as a dictionary finds them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from graph import chunk_names
from graph.chunk_names import by_name

NAMES = st.lists(
    st.binary(max_size=20) | st.sampled_from([b"", b"a", b"a\x00", b"post0001", b"post0001x", b"post0002x" * 3]),
    max_size=40,
)


def grouped(names: Sequence[bytes], gap: bytes = b"") -> list[list[int]]:
    data = gap.join(names)
    ends = np.cumsum([len(name) + len(gap) for name in names], dtype=np.int64) - len(gap)
    lengths = np.array([len(name) for name in names], np.int64)
    found = by_name(data, ends - lengths, lengths)
    return [rows.tolist() for rows in np.split(found.order, found.edges[1:-1])] if names else []


def by_dictionary(names: Sequence[bytes]) -> list[list[int]]:
    rows: dict[bytes, list[int]] = {}
    for row, name in enumerate(names):
        rows.setdefault(name, []).append(row)
    return list(rows.values())


@given(NAMES, st.binary(max_size=3))
def test_groups_are_those_of_a_dictionary_in_its_order(names: list[bytes], gap: bytes) -> None:
    assert grouped(names, gap) == by_dictionary(names)


@pytest.mark.parametrize("length", [1, 7, 8, 9, 16, 300])
def test_names_of_any_length_are_told_apart_by_any_of_their_bytes(length: int) -> None:
    names = [bytes(length)]
    names += [
        bytes(length)[:at] + bytes([value]) + bytes(length)[at + 1 :] for at in range(length) for value in (1, 128)
    ]
    names += [bytes(length - 1), bytes(length + 1)]
    assert grouped([*names, *names]) == by_dictionary([*names, *names])


def test_there_may_be_none() -> None:
    found = by_name(b"", np.zeros(0, np.int64), np.zeros(0, np.int64))
    assert found.order.tolist() == []
    assert found.edges.tolist() == [0]


def test_names_that_share_a_hash_are_told_apart_by_other_factors(monkeypatch: pytest.MonkeyPatch) -> None:
    hashes: Callable[..., NDArray[np.uint64]] = chunk_names._hashes
    tries: list[int] = []

    def at_first_all_alike(lengths: NDArray[np.int64], columns: Any, factors: list[int]) -> NDArray[np.uint64]:
        tries.append(1)
        found = hashes(lengths, columns, factors)
        return found if len(tries) > 2 else np.zeros_like(found)

    monkeypatch.setattr(chunk_names, "_hashes", at_first_all_alike)
    names = [b"one", b"two", b"one", b"three"]
    assert grouped(names) == by_dictionary(names)
    assert len(tries) == 3
