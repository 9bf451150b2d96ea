"""Fit a forecaster on a split, and score one on cases: what training, evaluation and comparison have in common."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from forecasters.base import Case, Forecaster
from forecasters.dataset import Split, increments
from forecasters.fit_steps import heard_by
from forecasters.metrics import score
from forecasters.platform_votes import examples_in_turn

EpochProgress = Callable[[Any], None]


def fit_forecaster(
    forecaster: Forecaster,
    split: Split,
    *,
    seed: int,
    epochs: int | None = None,
    progress: EpochProgress | None = None,
    checkpoint: Path | None = None,
    fitted: Mapping[str, Forecaster] | None = None,
) -> Forecaster:
    """Fit on the train part, choose and calibrate on the validation part.

    ``epochs``, ``progress`` and ``checkpoint`` reach the forecasters that train in epochs; the others have no
    use for them. ``progress`` is told of each epoch, and of each `Step` of what is fitted without. ``fitted`` are
    forecasters by spec that have been fitted on these very cases with this seed, for one that would fit the same again
    within itself.
    """
    offered = {"epochs": epochs, "progress": progress, "checkpoint": checkpoint, "fitted": fitted}
    taken = inspect.signature(forecaster.fit).parameters
    options: dict[str, Any] = {name: value for name, value in offered.items() if name in taken}
    with heard_by(progress):
        return forecaster.fit(split.train, split.validation, seed=seed, **options)


def scores_on(forecaster: Forecaster, test: Sequence[Case]) -> dict[str, float]:
    """All metrics of one forecaster on cases, the posts of a stream for each file."""
    forecasts = forecaster.forecast(examples_in_turn(forecaster, test))
    return score(forecasts.increment, increments(test), forecasts.low, forecasts.high)
