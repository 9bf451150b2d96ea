"""Forecasters as rankers: by the size they expect."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from forecasters.alerting.plan import AlertPlan
from forecasters.base import Forecaster
from forecasters.dataset import just_before, rolling_cases, split_cases
from forecasters.fitting import fit_forecaster
from forecasters.model_lookup import load_forecaster
from forecasters.registry import new_forecaster
from graph import Cascade

Floats = NDArray[np.float64]


def expected_sizes(
    spec: str, training: Sequence[Cascade], testing: Sequence[Cascade], plan: AlertPlan, seed: int
) -> dict[float, Floats]:
    """Expected sizes (n,) of the test posts at the horizon, by observation age; of a stored model with split "all".

    A post without reposts is forecast too. Raises `ModelStoreError` and `DatasetError` as loading and fitting do.
    """
    forecaster = load_forecaster(spec) if plan.split == "all" else _fitted(spec, training, plan.horizon_seconds, seed)
    found = {}
    for age in plan.observe_seconds:
        examples = [
            forecaster.prepare(cascade, just_before(cascade.root_time + age), plan.horizon_seconds)
            for cascade in testing
        ]
        observed = np.array([example.observed for example in examples], dtype=np.float64)
        found[age] = observed + forecaster.forecast(examples).increment
    return found


def _fitted(spec: str, training: Sequence[Cascade], horizon_seconds: float, seed: int) -> Forecaster:
    cuts = rolling_cases(training, horizon_seconds, seed=seed, min_events=1)
    return fit_forecaster(new_forecaster(spec), split_cases(cuts, "none", seed), seed=seed)
