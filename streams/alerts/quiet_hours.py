"""Hours of the day in which nobody wants to be told: of event time, by the clock of a place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Self
from zoneinfo import ZoneInfo

_DAY_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Spans of minutes of the day, each from its first minute to before its last; one may go over midnight.

    >>> night = QuietHours.parse(["22:30-06:00"], "Europe/Berlin")
    >>> night.hold(1_700_000_000.0), night.hold(1_700_000_000.0 + 6 * 3600)  # 23:13 and 05:13 there
    (True, True)
    >>> night.hold(1_700_000_000.0 + 7 * 3600)
    False
    """

    spans: tuple[tuple[int, int], ...]
    zone: ZoneInfo

    @classmethod
    def parse(cls, spans: Iterable[str], zone: str) -> Self:
        """Of texts such as ``22:30-06:00``. Raises ValueError that says what is wrong with a span or the zone."""
        try:
            place = ZoneInfo(zone)
        except (KeyError, OSError, ValueError):  # unknown, a directory, no name at all
            raise ValueError(f"there is no time zone {zone!r}; give an IANA name, such as Europe/Berlin") from None
        return cls(tuple(_span(text) for text in spans), place)

    def hold(self, time: float) -> bool:
        """Whether an event time (s) lies in one of the spans."""
        local = datetime.fromtimestamp(time, self.zone)
        minute = local.hour * 60 + local.minute
        return any(
            first <= minute < last if first < last else (minute >= first or minute < last) for first, last in self.spans
        )

    def __str__(self) -> str:
        return ", ".join(f"{_clock(first)}-{_clock(last)}" for first, last in self.spans) + f" {self.zone.key}"


def _span(text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    if not dash:
        raise ValueError(f"{text!r} is no span of hours; write it as 22:30-06:00")
    span = _minute(first, text), _minute(last, text)
    if span[0] == span[1]:
        raise ValueError(f"{text!r} begins and ends at once; a whole day is 00:00-24:00")
    return span


def _minute(clock: str, text: str) -> int:
    hour, colon, minute = clock.strip().partition(":")
    if not (colon and hour.isdecimal() and minute.isdecimal() and int(minute) < 60):
        raise ValueError(f"{text!r} is no span of hours; write it as 22:30-06:00")
    found = int(hour) * 60 + int(minute)
    if found > _DAY_MINUTES:
        raise ValueError(f"{text!r} goes beyond 24:00; write it as 22:30-06:00")
    return found


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
