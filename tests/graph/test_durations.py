"""Durations as people write them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.durations import DurationError, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("30m", 1800), ("5min", 300), ("1.5h", 5400), (" 2 D ", 172_800), ("1w", 604_800)],
)
def test_a_number_and_a_unit(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "1y", "-1h", "0", "0s", "1h30m", "nan", "inf", "1e400s", "٣h"])
def test_anything_else_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(DurationError, match="no duration") as error:
        parse_duration(text)
    assert "\n" not in str(error.value)


@given(st.text(max_size=8))
def test_no_text_breaks_it(text: str) -> None:
    with contextlib.suppress(DurationError):
        assert parse_duration(text) > 0


@given(st.floats(1e-6, 1e12) | st.integers(1, 10**9).map(float))
def test_what_is_written_reads_back_to_the_same_number(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"), [(45, "45s"), (600, "10m"), (5400, "90m"), (86_400, "24h"), (172_800, "2d"), (129_600, "36h")]
)
def test_is_written_in_the_largest_unit_that_fits(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
