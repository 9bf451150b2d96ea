"""Bytes of the durable state come back as they were, from several threads at once."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from graph import Cascade, Event, Kind
from streams.state import squeezing
from streams.state.chunks import Chunk, Chunks
from streams.state.segments import STATE_VERSION, Segment, Waiting, content, pack
from streams.state.squeezing import COMPRESS_ABOVE_BYTES, DICTIONARY_UP_TO_BYTES, expanded, squeezed, squeezed_segment
from streams.state.stored_times import StoredClock


@given(st.binary(max_size=100), st.integers(1, 30))
def test_bytes_of_any_length_come_back(raw: bytes, times: int) -> None:
    assert expanded(squeezed(raw * times)) == raw * times
    assert expanded(squeezed_segment(raw * times)) == raw * times
    assert len(squeezed(raw)) == 1 + len(raw) or len(raw) >= COMPRESS_ABOVE_BYTES


def test_what_is_too_large_for_the_dictionary_goes_without_it() -> None:
    for size in (DICTIONARY_UP_TO_BYTES, DICTIONARY_UP_TO_BYTES + 1):
        raw = os.urandom(8) * (size // 8) + bytes(size % 8)
        assert expanded(squeezed_segment(raw)) == raw
        assert (squeezed_segment(raw) == squeezed(raw)) is (size > DICTIONARY_UP_TO_BYTES)


def test_the_dictionary_is_the_one_that_stored_state_needs() -> None:
    """Whoever makes another one gives it another mark, and keeps this one."""
    digest = hashlib.sha256(squeezing._DICTIONARY.as_bytes()).hexdigest()
    assert digest == "96ce84a9d3387d4c5f19ab339d3ddae88e408e66f495bc4c55c1dd2ed12eb434"


def test_a_segment_of_one_event_takes_two_thirds_of_its_bytes() -> None:
    """Of the framing and of what is told twice; hashes and the digits of times stay."""
    event, post, now = "e17-98213", "1384261735591452893", 1_700_000_123.456
    columns = Chunks.of([Chunk(post, 7 << 24, _chunk(post, event, now))])
    waiting = Waiting.of([(post, now + 7.25, now, event)])
    clock = StoredClock(-2310, 4096, 0, bytes(range(24)), [])
    segment = Segment(STATE_VERSION, now - 10.0, now - 10.0, 48_213, columns, waiting, [], clock=clock, heard_until=now)
    packed = pack(segment)
    assert 3 * len(packed) < 2 * len(content(packed))


def _chunk(post: str, event: str, now: float) -> bytes:
    cascade = Cascade(post)
    cascade.apply(Event(post, post, Kind.POST, now - 5000.0, user="u"))
    cascade.delta()
    cascade.apply(Event(event, post, Kind.REPOST, now, user="v", parent=post))
    return cascade.delta() or b""


@pytest.mark.parametrize("claimed", [b"\x01\x28\xb5\x2f\xfd\xe0" + b"\xff" * 8, b"\x02\xe0" + b"\xff" * 8])
def test_a_frame_that_claims_an_impossible_size_is_refused_before_anything_is_unpacked(claimed: bytes) -> None:
    with pytest.raises((ValueError, zstandard.ZstdError)):
        expanded(claimed)


def test_threads_that_read_at_once_do_not_disturb_each_other() -> None:
    """A worker reads one partition's state while it writes, or reads, another's."""
    contents = [os.urandom(64) * (2000 + n) for n in range(64)]
    with ThreadPoolExecutor(8) as threads:
        for _ in range(3):
            assert list(threads.map(expanded, threads.map(squeezed, contents))) == contents
            small = [raw[:DICTIONARY_UP_TO_BYTES] for raw in contents]
            assert list(threads.map(expanded, threads.map(squeezed_segment, small))) == small
