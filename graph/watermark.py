"""The clock of a partition: no event earlier than it is expected any more."""

from __future__ import annotations

import math


class Watermark:
    """The latest event time seen less the lateness allowed; it never goes back.

    >>> clock = Watermark(allowed_lateness_seconds=10)
    >>> clock.advance(100.0), clock.advance(95.0), clock.advance_to(120.0)
    (90.0, 90.0, 120.0)
    """

    __slots__ = ("allowed_lateness_seconds", "value")

    def __init__(self, allowed_lateness_seconds: float = 0.0, value: float = -math.inf) -> None:
        if not allowed_lateness_seconds >= 0:
            raise ValueError(f"allowed_lateness_seconds must not be negative, not {allowed_lateness_seconds}")
        self.allowed_lateness_seconds = allowed_lateness_seconds
        self.value = value

    def advance(self, time: float) -> float:
        """Take note of an event at ``time`` (s); return the watermark."""
        return self.advance_to(time - self.allowed_lateness_seconds)

    def advance_to(self, value: float) -> float:
        """Raise the watermark itself, as an idle partition's clock does; a lower value changes nothing."""
        if value > self.value:
            self.value = value
        return self.value
