"""The hash index finds what a dictionary finds."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph import identity
from graph.identity import KEY_BYTES, HashIndex, aligned_find, hash_of, key_of


@given(st.lists(st.integers(0, 2000), unique=True, max_size=600), st.integers(0, 600))
def test_index_and_scan_agree_with_a_dictionary(numbers: list[int], indexed_from: int) -> None:
    """The low bits collide on purpose: they choose the home slot."""
    keys = bytearray()
    index: HashIndex | None = None
    places: dict[bytes, int] = {}
    for place, number in enumerate(numbers):
        key = (number << 8).to_bytes(8, "big")
        keys += key
        places[key] = place
        if index is not None:
            index.add(keys, key)
        elif place >= indexed_from:
            index = HashIndex(keys)
    for number in range(2000):
        key = (number << 8).to_bytes(8, "big")
        assert aligned_find(keys, key) == places.get(key, -1)
        if index is not None:
            assert index.find(keys, key) == places.get(key, -1)


def test_a_match_across_two_keys_is_none() -> None:
    assert aligned_find(bytearray(b"00001234" + b"56780000"), b"12345678") == -1
    assert aligned_find(bytearray(b"00001234" + b"56780000" + b"12345678"), b"12345678") == 2


def test_hashes_are_the_published_ones() -> None:
    """XXH3-64 of "a", from the reference implementation: stored state depends on it."""
    assert hash_of("a") == 0xE6C632B61E964E1F
    assert key_of("é") == hash_of("é").to_bytes(8, "big")


@pytest.mark.parametrize("draw", range(4))
@pytest.mark.parametrize("shift", [0, 16, 32, 44])
def test_keys_chosen_alike_do_not_make_the_index_slow(shift: int, draw: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash flooding: twenty thousand ids whose hashes were chosen to share low bits, high bits or most of them."""
    monkeypatch.setattr(identity, "_MULTIPLIER", random.Random(draw).getrandbits(64) | 1)
    keys = bytearray()
    for number in range(20_000):
        keys += ((number << shift) + 0xFFFF).to_bytes(KEY_BYTES, "big")
    index = HashIndex(keys)
    table = np.frombuffer(index._table, index._table.typecode)
    runs = np.diff(np.flatnonzero(table == 0))
    assert runs.max() < 4000, "a search passes over a run of taken slots at most"
    assert (runs.astype(float) ** 2).sum() / len(table) < 400, "and over far fewer on average"
