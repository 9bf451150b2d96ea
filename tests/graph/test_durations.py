"""Durations as people write them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.durations import DurationError, parse_duration


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
