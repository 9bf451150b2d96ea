"""Quiet hours are hours of a place's clock, in event time."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from streams.alerts.quiet_hours import QuietHours

BERLIN = ZoneInfo("Europe/Berlin")


def at(*clock: int) -> float:
    return datetime(*clock, tzinfo=BERLIN).timestamp()  # type: ignore[arg-type, misc]


def test_a_span_over_midnight_has_its_first_minute_and_not_its_last() -> None:
    night = QuietHours.parse(["22:30-06:00"], "Europe/Berlin")
    held = [night.hold(at(2024, 1, 10, *clock)) for clock in ((22, 29), (22, 30), (23, 59), (0, 0), (5, 59), (6, 0))]
    assert held == [False, True, True, True, True, False]


def test_the_clock_is_that_of_the_place_in_summer_and_winter() -> None:
    noon = QuietHours.parse(["12:00-13:00"], "Europe/Berlin")
    assert noon.hold(at(2024, 7, 1, 12, 30))
    assert noon.hold(at(2024, 1, 1, 12, 30))
    assert at(2024, 7, 1, 12, 30) % 86_400 != at(2024, 1, 1, 12, 30) % 86_400


def test_a_whole_day_and_several_spans() -> None:
    assert QuietHours.parse(["00:00-24:00"], "UTC").hold(1.7e9)
    two = QuietHours.parse(["01:00-02:00", "03:00-04:00"], "UTC")
    assert [two.hold(hour * 3600.0) for hour in (0, 1, 2, 3, 4)] == [False, True, False, True, False]


@pytest.mark.parametrize(
    ("spans", "zone", "said"),
    [
        (["22:30"], "UTC", "no span"),
        (["22:30-25:00"], "UTC", "beyond 24:00"),
        (["x-y"], "UTC", "no span"),
        (["10:00-10:00"], "UTC", "whole day"),
        (["10:00-11:00"], "Mars/Olympus", "IANA"),
        (["10:00-11:00"], "../etc/passwd", "IANA"),
    ],
)
def test_what_cannot_be_meant_is_said(spans: list[str], zone: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        QuietHours.parse(spans, zone)
