"""What was last forecast of each post: how it has changed since tells, under overload, whose turn it is."""

from __future__ import annotations

from typing import Final, NamedTuple

REMEMBERED: Final = 50_000
"""Posts of one partition, those forecast last: some 10 MB. One that is not among them counts as never forecast."""


class LastForecast(NamedTuple):
    """Sizes: expected at the horizon, and observed then."""

    expected: float
    size: int


class LastForecasts:
    """The last forecast of each of the posts that were forecast last."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._known: dict[str, LastForecast] = {}

    def note(self, cascade: str, expected: float, size: int) -> None:
        """A forecast was made."""
        self._known.pop(cascade, None)  # so that the order is that of the last forecasts
        self._known[cascade] = LastForecast(expected, size)
        if len(self._known) > self._remembered:
            del self._known[next(iter(self._known))]

    def forget(self, cascade: str) -> None:
        """A post left memory: it will not be forecast again."""
        self._known.pop(cascade, None)

    def get(self, cascade: str) -> LastForecast | None:
        """The last forecast of a post, if it is remembered."""
        return self._known.get(cascade)
