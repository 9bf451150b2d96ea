"""How many forecasts a round makes: as many as keep it short, by what the rounds before it took."""

from __future__ import annotations

from typing import Final

ROUND_SECONDS: Final = 0.25
"""A forecast that falls due waits for the round under way, and so for half of this on average; shorter rounds would pay
the fixed cost of each model, some 30 ms for the blend, more often."""

FEWEST: Final = 32
"""Forecasts of a round, however slow the models are: half as many would cost the blend two thirds as much."""

ROUNDS_OF_A_QUEUE: Final = 4
"""Who waits behind many others gains nothing by short rounds, and all of them by few large ones."""

MEMORY: Final = 0.8
"""Weight of what was known in the running mean of the cost of a forecast."""


class RoundSize:
    """Follows the cost of a forecast. Which forecasts share a round changes the last bits of their floats at most."""

    def __init__(self) -> None:
        self._seconds_each: float | None = None

    def took(self, forecasts: int, seconds: float) -> None:
        """A round of so many forecasts is done."""
        if forecasts:
            each = seconds / forecasts
            known = self._seconds_each
            self._seconds_each = each if known is None else MEMORY * known + (1.0 - MEMORY) * each

    def seconds(self, forecasts: int) -> float:
        """How long so many forecasts take about."""
        return forecasts * (self._seconds_each or 0.0)

    def forecasts_within(self, seconds: float) -> int:
        """How many can be made in so long; 0 before the first was."""
        return int(seconds / self._seconds_each) if self._seconds_each else 0

    def limit(self, most: int, waiting: int = 0) -> int:
        """Forecasts of the next round, at most ``most``, while so many wait."""
        if not self._seconds_each:
            return most
        short = max(FEWEST, int(ROUND_SECONDS / self._seconds_each))
        return max(1, min(most, max(short, waiting // ROUNDS_OF_A_QUEUE)))
