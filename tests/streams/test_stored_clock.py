"""The evidence of a clock comes back from a segment to the last bit."""

from __future__ import annotations

import math

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from graph import Watermark
from graph.watermark import Evidence
from streams.stored_clock import StoredClock, lengthened, shortened

TIMES = (
    st.floats(0.0, 2.5e11) | st.integers(0, 4 * 10**12).map(lambda ms: ms / 1000) | st.integers(0, 2 * 10**9).map(float)
)


def stored(evidence: Evidence) -> bytes:
    return msgspec.msgpack.encode(StoredClock.of(evidence))


@given(st.lists(TIMES, max_size=16), TIMES | st.just(-math.inf))
def test_times_come_back_exactly_whatever_they_are(times: list[float], since: float) -> None:
    short = msgspec.msgpack.decode(msgspec.msgpack.encode(shortened(times, since)), type=list[int | float])
    assert lengthened(short, since) == times


@given(
    TIMES | st.just(-math.inf),
    st.lists(TIMES, max_size=15),
    st.lists(st.tuples(TIMES, st.integers(0, 2**64 - 1)), max_size=16),
    st.sampled_from([-math.inf, 0.0, 300.0]),
)
def test_so_does_all_else(
    confirmed: float, recent: list[float], witnesses: list[tuple[float, int]], silence_seconds: float
) -> None:
    evidence = Evidence(confirmed, 7, 3, recent, witnesses, silence_seconds)
    assert msgspec.msgpack.decode(stored(evidence), type=StoredClock).evidence() == evidence


def test_a_clock_of_format_3_is_read() -> None:
    before = msgspec.msgpack.encode([1.5e9, 3, 2, [1.5e9 + 0.25, 1.5e9], [[1.6e9, 9]]])
    assert msgspec.msgpack.decode(before, type=StoredClock).evidence() == Evidence(
        1.5e9, 3, 2, [1.5e9 + 0.25, 1.5e9], [(1.6e9, 9)]
    )


def test_times_of_whole_milliseconds_take_three_bytes_where_they_took_nine() -> None:
    clock = Watermark(10.0)
    for n in range(1015):
        clock.observe(round(1.7e9 + n * 1.234, 3), f"c{n % 40}")
    evidence = clock.evidence()
    assert len(evidence.recent) > 8
    saved = len(msgspec.msgpack.encode(evidence)) - len(stored(evidence))
    assert saved >= 6 * len(evidence.recent)
