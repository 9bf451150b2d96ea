"""What the fitted baselines share: a feature vector in, log2(1 + increment) out, intervals from validation
residuals."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from forecasters.base import Case, Example, Forecaster, Forecasts
from forecasters.dataset import DatasetError, increments
from forecasters.errors import ModelStoreError
from forecasters.intervals import DEFAULT_LEVEL, ConformalIntervals
from forecasters.model_files import read_config, write_config
from forecasters.trajectory import MAX_INCREMENT, Relaxation, complete_forecasts, times_of
from graph import Cascade, CascadeView

Floats = NDArray[np.float64]


class LogRegression(Forecaster):
    """A regression of log2(1 + increment) on a fixed vector of features.

    Subclasses say what the features of a view are, how they are fitted, and how a fit is written and read.
    Age and remaining time are features of each of them, so one fit serves one observation time or any mix of
    ages.
    """

    needs_training = True

    def __init__(self, *, level: float = DEFAULT_LEVEL) -> None:
        self.level = level
        self.intervals = ConformalIntervals.uncalibrated(level)
        self.relaxation = Relaxation()
        self.fitted = False

    @abstractmethod
    def features(self, view: CascadeView, horizon_seconds: float) -> Floats:
        """The features of a view, (F,), finite for any view."""

    @abstractmethod
    def fit_log(self, X: Floats, y: Floats, X_validation: Floats, y_validation: Floats, seed: int) -> None:
        """Fit log2(1 + increment) ``y`` (n,) on ``X`` (n, F); choose by the validation part, which may be
        empty."""

    @abstractmethod
    def predict_log(self, X: Floats) -> Floats:
        """log2(1 + increment) (B,) of features (B, F); each row on its own."""

    @abstractmethod
    def save_fit(self, directory: Path) -> dict[str, Any]:
        """Write the fit's own files and return what of it belongs in config.json."""

    @abstractmethod
    def load_fit(self, directory: Path, fit: dict[str, Any]) -> None:
        """Read back what `save_fit` wrote."""

    def prepare(self, graph: Cascade, as_of: float, horizon_seconds: float) -> Example:
        view = graph.view(as_of)
        return Example.of(view, horizon_seconds, {"features": self.features(view, horizon_seconds)})

    def point(self, examples: Sequence[Example]) -> Floats:
        """The increments (B,) before clipping to the horizon."""
        if not self.fitted:
            raise ModelStoreError(f"{self.name} has not been trained; run 'cascadecast train {self.name}' first")
        if not examples:
            return np.zeros(0)
        predicted = self.predict_log(self.matrix(examples))
        return np.exp2(np.clip(predicted, 0.0, np.log2(1.0 + MAX_INCREMENT))) - 1.0

    def forecast(self, examples: Sequence[Example]) -> Forecasts:
        group = self.populations(examples)
        return complete_forecasts(examples, self.point(examples), self.intervals, self.relaxation, group=group)

    def matrix(self, examples: Sequence[Example]) -> Floats:
        """What is read of a batch, (B, F'); (0, 0) of none."""
        if not examples:
            return np.zeros((0, 0))
        return np.stack([example.inputs["features"] for example in examples])

    def fit(self, train: Sequence[Case], validation: Sequence[Case], *, seed: int = 0) -> Self:
        return self.fit_labelled(train, np.log2(1.0 + increments(train)), validation, seed=seed)

    def fit_labelled(self, train: Sequence[Case], labels: Floats, validation: Sequence[Case], *, seed: int) -> Self:
        """Fit ``labels`` (n,), log2(1 + increment) of the n training cases; the validation part is its truths.

        Raises `DatasetError` without cases.
        """
        if not train:
            raise DatasetError(f"{self.name} has no cases to train on; give a larger file or an earlier --observe")
        fitting, choosing = self.prepared(train), self.prepared(validation)
        truths = np.log2(1.0 + increments(validation))
        self.fit_log(self.matrix(fitting), labels, self.matrix(choosing), truths, seed)
        self.fitted = True
        self.relaxation = Relaxation.fit(train)
        # Without a validation part the residuals of the fit itself are the best there is, though a little
        # narrow.
        judged, truth = (choosing, increments(validation)) if validation else (fitting, increments(train))
        age, _, observed = times_of(judged)
        self.intervals = ConformalIntervals.fit(
            self.point(judged), truth, age, observed, group=self.populations(judged), level=self.level
        )
        return self

    def save(self, directory: Path) -> None:
        write_config(
            directory,
            {
                "forecaster": self.name,
                "version": self.version,
                "fit": self.save_fit(directory),
                "intervals": self.intervals.to_config(),
                "relaxation": self.relaxation.to_config(),
            },
        )

    @classmethod
    def load(cls, directory: Path) -> Self:
        config = read_config(directory, cls.name)
        try:
            intervals = ConformalIntervals.from_config(config["intervals"])
            forecaster = cls(level=intervals.level)
            forecaster.intervals = intervals
            forecaster.version = str(config["version"])
            forecaster.relaxation = Relaxation.from_config(config["relaxation"])
            forecaster.load_fit(directory, config["fit"])
        except (KeyError, TypeError, ValueError) as error:
            raise ModelStoreError(
                f"{directory / 'config.json'}: damaged ({error!r}); train again or restore it"
            ) from error
        forecaster.fitted = True
        return forecaster

    def prepared(self, cases: Sequence[Case]) -> list[Example]:
        """The examples of cases to fit to."""
        return [self.prepare(case.graph, case.as_of, case.horizon_seconds) for case in cases]


def time_features(view: CascadeView, horizon_seconds: float) -> tuple[float, float]:
    """log2 of 1 + the age and of 1 + the time left, in minutes: what lets one linear fit serve many ages."""
    age = max(view.age_seconds, 0.0)
    left = max(horizon_seconds - age, 0.0)
    return float(np.log2(1.0 + age / 60.0)), float(np.log2(1.0 + left / 60.0))
