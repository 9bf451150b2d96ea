"""Run every model over the forecasts that are due, in batches, and write the records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from forecasters.base import Forecaster, Forecasts
from forecasters.blend import BlendForecaster
from forecasters.intervals import DEFAULT_LEVEL
from streams.engine.answers import Answer, answer_of
from streams.engine.blending import Round, calibrated, expert_key, model_key
from streams.engine.due import Due
from streams.engine.lineup import Lineup, Role, Share
from streams.engine.lineup_loading import LineupLoader
from streams.records import ForecastRecord, forecast_id, published_sizes, rounded, rounded_to
from streams.settings import Settings


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
    answers: list[Answer]
    """Of the forecasts that are kept until their truth is known."""
    fault: tuple[str, str] | None = None
    """Of the last that failed: the cascade, and what the model said."""


class ForecastService:
    """The loaded models; `forecast` is pure arithmetic and may run in a thread of its own.

    ``lineup`` may be replaced from any thread: a batch that has begun ends with the models it began with.
    """

    def __init__(self, models: Lineup | Iterable[Forecaster], horizon_seconds: float) -> None:
        self.lineup = models if isinstance(models, Lineup) else Lineup.of(models)
        self._horizon = horizon_seconds

    def forecast(self, dues: Sequence[Due]) -> list[ModelRun]:
        """Forecast a batch with every model. A model that fails on a cascade costs that forecast, counted, no other."""
        asked = Round(self._horizon)
        shares = self.lineup.shares(dues)
        # blends last: their experts are often models of the lineup, asked about every due there
        order = sorted(range(len(shares)), key=lambda number: isinstance(shares[number].model, BlendForecaster))
        runs = {number: self._run(shares[number], asked) for number in order}
        return [runs[number] for number in range(len(shares))]

    def _run(self, share: Share, asked: Round) -> ModelRun:
        started = perf_counter()
        model = share.model
        run = ModelRun(model.name, model.version, share.role, [], 0.0, 0, 0, [])
        try:
            run = self._add(run, model, share.dues, asked)
        except Exception:
            # One by one, so that a single cascade which the model cannot digest does not take the batch with it.
            for due in share.dues:
                try:
                    run = self._add(run, model, [due], asked)
                except Exception as error:
                    run = replace(run, failed=run.failed + 1, fault=(due.cascade, repr(error)))
        return replace(run, seconds=perf_counter() - started)

    def _add(self, run: ModelRun, model: Forecaster, dues: Sequence[Due], asked: Round) -> ModelRun:
        """``run`` and what the model says of further forecasts."""
        own = asked.ask(model, dues)
        forecasts = calibrated(model_key(model), own, dues)
        records = self._records(model, dues, forecasts)
        answers: list[Answer] = []
        keep = [row for row, due in enumerate(dues) if due.keep]
        votes = asked.votes(model, dues) if keep else []
        if keep and isinstance(model, BlendForecaster):
            experts = tuple(expert_key(model, expert) for expert in model.experts)
            for name, said in zip(experts, asked.experts(model, dues), strict=True):
                answers += [
                    answer_of(dues[row], name, said, said, row, published=False) for row in keep if dues[row].teach
                ]
            answers += [
                answer_of(
                    dues[row],
                    model_key(model),
                    forecasts,
                    own,
                    row,
                    experts=experts if dues[row].teach else (),
                    vote=votes[row],
                )
                for row in keep
            ]
        else:
            answers += [answer_of(dues[row], model_key(model), forecasts, own, row, vote=votes[row]) for row in keep]
        return replace(
            run,
            records=run.records + records,
            supercritical=run.supercritical + int(forecasts.supercritical.sum()),
            answers=run.answers + answers,
        )

    def _records(self, model: Forecaster, dues: Sequence[Due], forecasts: Forecasts) -> list[ForecastRecord]:
        """What is published of a batch; raises `ValueError` where a forecast is no number."""
        sizes = np.column_stack([forecasts.increment, forecasts.low, forecasts.high, forecasts.trajectory_increments])
        published = published_sizes(np.array([due.view.size for due in dues], dtype=np.float64), sizes)
        ages = rounded_to(forecasts.trajectory_ages, 3).tolist()
        return [self._record(model, due, forecasts, row, published[row], ages[row]) for row, due in enumerate(dues)]

    def _record(
        self,
        model: Forecaster,
        due: Due,
        forecasts: Forecasts,
        row: int,
        published: Sequence[float],
        trajectory_ages: Sequence[float],
    ) -> ForecastRecord:
        """``published``: the sizes expected, low, high, and along the trajectory."""
        view = due.view
        age = round(due.as_of - view.root_time, 3)
        in_an_hour = min(age + 3600.0, self._horizon)
        increments = forecasts.trajectory_increments[row]
        ahead = float(np.interp(in_an_hour, forecasts.trajectory_ages[row], increments))
        growth = ahead * 3600.0 / max(in_an_hour - age, 1.0)
        if not np.isfinite(forecasts.increment[row]):
            raise ValueError(f"{model.name} forecast {forecasts.increment[row]} for cascade {view.cascade}")
        expected, low, high, *trajectory = published
        return ForecastRecord(
            id=forecast_id(view.cascade, due.as_of, self._horizon, model.name, model.version),
            cascade=view.cascade,
            as_of=due.as_of,
            age_seconds=age,
            observed=view.size,
            horizon_seconds=self._horizon,
            model=model.name,
            model_version=model.version,
            expected=expected,
            low=low,
            high=high,
            level=DEFAULT_LEVEL,
            trajectory=list(zip(trajectory_ages, trajectory, strict=True)),
            growth_per_hour=rounded(growth),
            event=due.event,
        )


def load_service(settings: Settings, loader: LineupLoader | None = None) -> ForecastService:
    """Load the models of the settings from the model store or the shipped weights; raises `UserError`.

    A worker gives the ``loader`` by which it follows the store afterwards; without one the champions are loaded once.
    """
    return ForecastService((loader or LineupLoader(settings)).load(), settings.horizon_seconds)
