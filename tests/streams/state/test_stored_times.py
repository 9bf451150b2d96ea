"""Times come back from a segment to the last bit, and so does what a clock rests on."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph import Watermark
from graph.watermark import Evidence
from streams.state.stored_times import ShortTime, StoredClock, lengthened, shortened

NOW = st.integers(1_700_000_000_000, 1_700_000_090_000).map(lambda ms: ms / 1000)
TIMES = st.floats(0.0, 2.5e11) | st.integers(0, 4 * 10**12).map(lambda ms: ms / 1000) | NOW


def stored(evidence: Evidence, watermark: float) -> bytes:
    return msgspec.msgpack.encode(StoredClock.of(evidence, watermark))


@given(TIMES, TIMES | st.just(-math.inf))
def test_a_time_comes_back_exactly_whatever_it_is(time: float, since: float) -> None:
    short = msgspec.msgpack.decode(msgspec.msgpack.encode(shortened(time, since)), type=ShortTime)
    assert lengthened(short, since) == time


@given(
    TIMES | st.just(-math.inf),
    TIMES | st.just(-math.inf),
    st.lists(TIMES, max_size=15) | st.lists(NOW, max_size=15),
    st.lists(st.tuples(TIMES, st.integers(0, 2**64 - 1)), max_size=16),
    st.sampled_from([-math.inf, 0.0, 300.0]),
)
def test_so_does_all_that_a_clock_rests_on(
    watermark: float,
    confirmed: float,
    recent: list[float],
    witnesses: list[tuple[float, int]],
    silence_seconds: float,
) -> None:
    evidence = Evidence(confirmed, 7, 3, recent, witnesses, silence_seconds)
    assert msgspec.msgpack.decode(stored(evidence, watermark), type=StoredClock).evidence(watermark) == evidence


def test_a_clock_of_which_a_byte_is_missing_is_no_clock() -> None:
    with pytest.raises(msgspec.ValidationError, match="cut off"):
        msgspec.msgpack.decode(msgspec.msgpack.encode([0, 3, 2, b"abc", []]), type=StoredClock)


@pytest.mark.parametrize("time", [1e306, -1e306, math.inf])
def test_times_beyond_all_milliseconds_are_told_as_they_are(time: float) -> None:
    assert lengthened(shortened(time, 1.7e9), 1.7e9) == time
    assert lengthened(shortened(1.5, time), time) == 1.5


def test_a_clock_of_format_3_is_read() -> None:
    before = msgspec.msgpack.encode([1.5e9, 3, 2, [1.5e9 + 0.25, 1.5e9], [[1.6e9, 9]]])
    assert msgspec.msgpack.decode(before, type=StoredClock).evidence(1.5e9) == Evidence(
        1.5e9, 3, 2, [1.5e9 + 0.25, 1.5e9], [(1.6e9, 9)]
    )


def test_times_of_whole_milliseconds_take_two_bytes_where_they_took_nine() -> None:
    clock = Watermark(10.0)
    for n in range(1015):
        clock.observe(round(1.7e9 + n * 1.234, 3), f"c{n % 40}")
    evidence = clock.evidence()
    assert len(evidence.recent) > 8
    saved = len(msgspec.msgpack.encode(evidence)) - len(stored(evidence, clock.value))
    assert saved >= 7 * len(evidence.recent)
