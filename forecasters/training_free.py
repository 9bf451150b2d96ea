"""What the training-free forecasters share: a rescaling that is off by default, and calibrated intervals."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from forecasters.base import Case, Example, Forecaster, Forecasts
from forecasters.dataset import increments
from forecasters.errors import ModelStoreError
from forecasters.intervals import DEFAULT_LEVEL, ConformalIntervals
from forecasters.model_files import read_config, write_config
from forecasters.trajectory import Relaxation, complete_forecasts, times_of, trajectory_ages

Floats = NDArray[np.float64]

MAX_GROWTH: Final = 100.0
"""The cap of a supercritical cascade: its growth is reported as at most 100 times (1 + observed). The process
has no finite size, and over a day its mean runs to numbers no network has users for."""


@dataclass(frozen=True, slots=True)
class PointForecasts:
    """What a self-exciting model says of a batch: growth at the trajectory's ages, (B, P), and who is
    supercritical."""

    growth: Floats
    supercritical: NDArray[np.bool_]


class TrainingFree(Forecaster):
    """A forecaster that fits each cascade on its own; `fit` only calibrates its interval, on validation
    cases."""

    needs_training = False

    def __init__(self, *, level: float = DEFAULT_LEVEL) -> None:
        self.level = level
        self.intervals = ConformalIntervals.uncalibrated(level)

    @abstractmethod
    def growth(self, examples: Sequence[Example], ages: Floats) -> PointForecasts:
        """Expected growth since now at ``ages`` (B, P), nondecreasing along P; B >= 1."""

    def forecast(self, examples: Sequence[Example]) -> Forecasts:
        if not examples:
            return complete_forecasts(examples, np.zeros(0), self.intervals, Relaxation())
        age, horizon, observed = times_of(examples)
        said = self.growth(examples, trajectory_ages(age, horizon))
        cap = np.where(said.supercritical, MAX_GROWTH * (1.0 + observed), np.inf)[:, None]
        path = np.minimum(np.maximum.accumulate(said.growth, axis=1), cap)
        total = path[:, -1:]
        shares = np.divide(path, total, out=np.zeros_like(path), where=total > 0.0)
        return complete_forecasts(
            examples, total[:, 0], self.intervals, Relaxation(), supercritical=said.supercritical, shares=shares
        )

    def fit(self, train: Sequence[Case], validation: Sequence[Case], *, seed: int = 0) -> Self:
        cases = [*train, *validation]  # neither has been fitted to
        if cases:
            examples = [self.prepare(case.graph, case.as_of, case.horizon_seconds) for case in cases]
            age, _, observed = times_of(examples)
            predicted = self.forecast(examples).increment
            self.intervals = ConformalIntervals.fit(predicted, increments(cases), age, observed, level=self.level)
        return self

    def settings(self) -> dict[str, Any]:
        """The constants in force, for config.json."""
        return {}

    def save(self, directory: Path) -> None:
        write_config(
            directory,
            {
                "forecaster": self.name,
                "version": self.version,
                "settings": self.settings(),
                "intervals": self.intervals.to_config(),
            },
        )

    @classmethod
    def load(cls, directory: Path) -> Self:
        config = read_config(directory, cls.name)
        try:
            intervals = ConformalIntervals.from_config(config["intervals"])
            forecaster = cls(**config["settings"], level=intervals.level)
            forecaster.version = str(config["version"])
        except (KeyError, TypeError, ValueError) as error:
            path = directory / "config.json"
            raise ModelStoreError(f"{path}: damaged ({error!r}); train again or restore it") from error
        forecaster.intervals = intervals
        return forecaster
