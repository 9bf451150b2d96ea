"""What one forecaster forecast for the test cases of one age, beside the truth: what every table is made from."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from forecasters.base import Case, Forecaster
from forecasters.dataset import increments
from forecasters.intervals import DEFAULT_LEVEL, ConformalIntervals
from forecasters.metrics import coverage, log_errors, score
from forecasters.platform_votes import examples_in_turn
from forecasters.trajectory import times_of

Floats = NDArray[np.float64]

CURVE_LEVELS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


@dataclass(frozen=True, slots=True)
class AgeCoverage:
    """How many of ``n`` truths lay inside the interval of a forecast made at an age from here to there."""

    from_seconds: float
    to_seconds: float
    n: int
    covered: int


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Forecasts of the increment for n cases. Shapes: ``cascades`` and all arrays (n,)."""

    model: str
    version: str
    seed: int | None  # None for stored weights, which no seed of this run has touched
    observe_seconds: float
    horizon_seconds: float
    level: float
    cascades: tuple[str, ...]
    as_of: Floats
    observed: Floats
    actual: Floats
    predicted: Floats
    low: Floats
    high: Floats
    curve: tuple[tuple[float, float], ...] = ()
    """(nominal level, measured coverage), rising; only the level of the intervals themselves for stored weights."""
    by_age: tuple[AgeCoverage, ...] = ()
    """Coverage at random ages, for a model that answers at any."""

    @property
    def squared_errors(self) -> Floats:
        """(log2(1 + predicted) - log2(1 + actual))^2, shape (n,)."""
        return log_errors(self.predicted, self.actual) ** 2

    def scores(self) -> dict[str, float]:
        """All metrics of `forecasters.metrics`."""
        return score(self.predicted, self.actual, self.low, self.high)


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Forecasts for the cases a forecaster calibrates its intervals on, beside the truth; all (m,)."""

    predicted: Floats
    actual: Floats
    age_seconds: Floats
    observed: Floats

    @classmethod
    def of(cls, forecaster: Forecaster, validation: Sequence[Case]) -> Self | None:
        """None for a forecaster whose intervals are not split conformal ones, and without cases."""
        if not validation or not isinstance(forecaster.intervals, ConformalIntervals):
            return None
        examples = [forecaster.prepare(case.graph, case.as_of, case.horizon_seconds) for case in validation]
        age, _, observed = times_of(examples)
        return cls(forecaster.forecast(examples).increment, increments(validation), age, observed)

    def intervals(self, level: float) -> ConformalIntervals:
        """The forecaster's own procedure at another level: the same residuals, other quantiles of them."""
        return ConformalIntervals.fit(self.predicted, self.actual, self.age_seconds, self.observed, level=level)


def run_on(
    forecaster: Forecaster,
    test: Sequence[Case],
    *,
    model: str,
    observe_seconds: float,
    seed: int | None,
    calibration: Calibration | None = None,
    by_age: tuple[AgeCoverage, ...] = (),
    alone: bool = False,
) -> Run:
    """Forecast the ``test`` cases, which share a horizon; with a ``calibration`` the run has a curve of all levels.

    They are posts of one stream, and each is forecast after the earlier ones voted; ``alone``: as if there were none.
    """
    examples = examples_in_turn(forecaster, test, alone=alone)
    found = forecaster.forecast(examples)
    actual = increments(test)
    level = float(getattr(forecaster, "level", DEFAULT_LEVEL))
    age, _, observed = times_of(examples)
    curve = [(level, coverage(found.low, found.high, actual))]
    if calibration is not None:
        curve = []
        for nominal in CURVE_LEVELS:
            low, high = calibration.intervals(nominal).bounds(found.increment, age, observed)
            curve.append((nominal, coverage(low, high, actual)))
    return Run(
        model=model,
        version=forecaster.version,
        seed=seed,
        observe_seconds=observe_seconds,
        horizon_seconds=test[0].horizon_seconds,
        level=level,
        cascades=tuple(case.graph.id for case in test),
        as_of=np.array([case.as_of for case in test]),
        observed=observed,
        actual=actual,
        predicted=found.increment,
        low=found.low,
        high=found.high,
        curve=tuple(curve),
        by_age=by_age,
    )


PREDICTION_COLUMNS: Final = (
    "model",
    "model_version",
    "seed",
    "observe_seconds",
    "horizon_seconds",
    "cascade",
    "as_of",
    "observed",
    "actual",
    "predicted",
    "low",
    "high",
    "level",
)


def prediction_lines(runs: Iterable[Run]) -> Iterator[bytes]:
    """The runs as lines of CSV, a head line first: one line for each case; ``actual``, ``predicted`` and the bounds
    are increments."""
    yield ",".join(PREDICTION_COLUMNS).encode()
    for run in runs:
        shared = (run.model, run.version, "" if run.seed is None else run.seed, run.observe_seconds)
        for i, cascade in enumerate(run.cascades):
            text = io.StringIO()
            numbers = (f"{column[i]:.6g}" for column in (run.predicted, run.low, run.high))
            csv.writer(text, lineterminator="").writerow(
                (
                    *shared,
                    run.horizon_seconds,
                    cascade,
                    repr(float(run.as_of[i])),
                    int(run.observed[i]),
                    int(run.actual[i]),
                    *numbers,
                    run.level,
                )
            )
            yield text.getvalue().encode()
