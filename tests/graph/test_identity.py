"""The hash index finds what a dictionary finds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from graph.identity import HashIndex, aligned_find, hash_of, key_of


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
