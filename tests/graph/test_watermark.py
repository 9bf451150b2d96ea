from __future__ import annotations

import math

import pytest

from graph import Watermark


def test_it_follows_the_latest_event_and_never_falls() -> None:
    watermark = Watermark(10.0)
    assert watermark.value == -math.inf
    assert [watermark.advance(time) for time in (50.0, 40.0, 55.0)] == [40.0, 40.0, 45.0]
    assert watermark.advance_to(44.0) == 45.0
    assert watermark.advance_to(60.0) == watermark.value == 60.0


def test_negative_lateness_is_refused() -> None:
    with pytest.raises(ValueError, match="allowed_lateness_seconds"):
        Watermark(-1.0)
