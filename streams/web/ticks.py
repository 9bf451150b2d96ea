"""When the next update is due: so many a second, whatever each takes."""

from __future__ import annotations


class Ticks:
    """Due times ``pause`` seconds apart: what an update takes is part of the pause, and what was missed is not made up.

    >>> ticks = Ticks(1.0, now=10.0)
    >>> ticks.wait(10.25)
    0.75
    >>> ticks.wait(15.0)
    0.0
    >>> ticks.wait(15.25)
    0.75
    """

    def __init__(self, pause: float, now: float) -> None:
        self._pause = pause
        self._due = now

    def wait(self, now: float) -> float:
        """How long it is from ``now`` to the next tick, which is then past."""
        self._due = max(self._due + self._pause, now)
        return self._due - now
