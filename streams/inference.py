"""Run every model over the forecasts that are due, in batches, and write the records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import cast

import numpy as np

from forecasters.base import Forecaster, Forecasts
from forecasters.intervals import DEFAULT_LEVEL
from graph import Cascade, CascadeView
from streams.lineup import Lineup, Role, Share
from streams.lineup_loading import LineupLoader
from streams.partition import Due
from streams.records import ForecastRecord, forecast_id, rounded
from streams.settings import Settings


@dataclass(frozen=True, slots=True)
class _Frozen:
    """A cascade as of one time, in the place of the live one: safe to read while the live one grows."""

    frozen: CascadeView

    @property
    def id(self) -> str:
        return self.frozen.cascade

    def view(self, as_of: float) -> CascadeView:
        if as_of != self.frozen.as_of:
            raise ValueError(f"this cascade is frozen at {self.frozen.as_of}, not {as_of}")
        return self.frozen


@dataclass(frozen=True, slots=True)
class ModelRun:
    """What one model made of one batch."""

    model: str
    version: str
    role: Role
    records: list[ForecastRecord]
    seconds: float
    failed: int
    supercritical: int


class ForecastService:
    """The loaded models; `forecast` is pure arithmetic and may run in a thread of its own.

    ``lineup`` may be replaced from any thread: a batch that has begun ends with the models it began with.
    """

    def __init__(self, models: Lineup | Iterable[Forecaster], horizon_seconds: float) -> None:
        self.lineup = models if isinstance(models, Lineup) else Lineup.of(models)
        self._horizon = horizon_seconds

    def forecast(self, dues: Sequence[Due]) -> list[ModelRun]:
        """Forecast a batch with every model. A model that fails on a cascade costs that forecast, counted, no other."""
        return [self._run(share) for share in self.lineup.shares(dues)]

    def _run(self, share: Share) -> ModelRun:
        model, dues = share.model, share.dues
        started = perf_counter()
        failed = 0
        supercritical = 0
        try:
            forecasts = self._forecast(model, dues)
            records = [self._record(model, due, forecasts, row) for row, due in enumerate(dues)]
            supercritical = int(forecasts.supercritical.sum())
        except Exception:
            # One by one, so that a single cascade which the model cannot digest does not take the batch with it.
            records = []
            for due in dues:
                try:
                    forecasts = self._forecast(model, [due])
                    records.append(self._record(model, due, forecasts, 0))
                    supercritical += int(forecasts.supercritical.sum())
                except Exception:
                    failed += 1
        return ModelRun(model.name, model.version, share.role, records, perf_counter() - started, failed, supercritical)

    def _forecast(self, model: Forecaster, dues: Sequence[Due]) -> Forecasts:
        return model.forecast(
            [model.prepare(cast(Cascade, _Frozen(due.view)), due.as_of, self._horizon) for due in dues]
        )

    def _record(self, model: Forecaster, due: Due, forecasts: Forecasts, row: int) -> ForecastRecord:
        view = due.view
        observed = view.size
        age = round(due.as_of - view.root_time, 3)
        increments = forecasts.trajectory_increments[row]
        ages = forecasts.trajectory_ages[row]
        in_an_hour = min(age + 3600.0, self._horizon)
        growth = float(np.interp(in_an_hour, ages, increments)) * 3600.0 / max(in_an_hour - age, 1.0)
        expected = float(forecasts.increment[row])
        if not np.isfinite(expected):
            raise ValueError(f"{model.name} forecast {expected} for cascade {view.cascade}")
        return ForecastRecord(
            id=forecast_id(view.cascade, due.as_of, self._horizon, model.name, model.version),
            cascade=view.cascade,
            as_of=due.as_of,
            age_seconds=age,
            observed=observed,
            horizon_seconds=self._horizon,
            model=model.name,
            model_version=model.version,
            expected=rounded(observed + expected),
            low=rounded(observed + float(forecasts.low[row])),
            high=rounded(observed + float(forecasts.high[row])),
            level=DEFAULT_LEVEL,
            trajectory=[
                (round(float(at), 3), rounded(observed + float(increment)))
                for at, increment in zip(ages, increments, strict=True)
            ],
            growth_per_hour=rounded(growth),
            event=due.event,
        )


def load_service(settings: Settings, loader: LineupLoader | None = None) -> ForecastService:
    """Load the models of the settings from the model store or the shipped weights; raises `UserError`.

    A worker gives the ``loader`` by which it follows the store afterwards; without one the champions are loaded once.
    """
    return ForecastService((loader or LineupLoader(settings)).load(), settings.horizon_seconds)
