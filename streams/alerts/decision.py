"""What one forecast changes, while it is being looked at."""

from __future__ import annotations

from streams.alerts.records import AlertRecord
from streams.alerts.standings import Cause, Standing, Step
from streams.records import ForecastRecord


class Decision:
    """Standings, records, votes and what is left of the cap, rule by rule."""

    def __init__(self, forecast: ForecastRecord) -> None:
        self._forecast = forecast
        self.standings: list[Standing] = []
        self.records: list[AlertRecord] = []
        self.candidates: list[int] = []
        self.vote: tuple[str, int] | None = None
        self.budget: tuple[float, float] | None = None

    def step(self) -> Step | None:
        """All of it as one step; None where nothing changes."""
        if not (self.standings or self.candidates or self.vote is not None):
            return None
        as_of, cascade = self._forecast.as_of, self._forecast.cascade
        return Step(as_of, cascade, Cause.FORECAST, self.standings, self.vote, self.candidates, self.budget)
