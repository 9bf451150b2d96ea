"""Bytes of the durable state come back as they were, from several threads at once."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from streams.squeezing import COMPRESS_ABOVE_BYTES, expanded, squeezed


@given(st.binary(max_size=100), st.integers(1, 30))
def test_bytes_of_any_length_come_back(raw: bytes, times: int) -> None:
    assert expanded(squeezed(raw * times)) == raw * times
    assert len(squeezed(raw)) == 1 + len(raw) or len(raw) >= COMPRESS_ABOVE_BYTES


def test_threads_that_read_at_once_do_not_disturb_each_other() -> None:
    """A worker reads one partition's state while it writes, or reads, another's."""
    contents = [os.urandom(64) * (2000 + n) for n in range(64)]
    with ThreadPoolExecutor(8) as threads:
        for _ in range(3):
            assert list(threads.map(expanded, threads.map(squeezed, contents))) == contents
