"""What a fit is offered reaches those that have a use for it, and nobody else."""

from __future__ import annotations

from forecasters.blend import BlendForecaster
from forecasters.dataset import rolling_cases, split_cases
from forecasters.fitting import fit_forecaster
from forecasters.ridge import RidgeForecaster
from tests.forecasters.cascades import random_cascades

SPLIT = split_cases(rolling_cases(random_cascades(60), 86_400.0, per_cascade=2), "random")


def test_a_forecaster_without_epochs_is_not_told_of_them() -> None:
    told: list[object] = []
    ridge = fit_forecaster(RidgeForecaster(), SPLIT, seed=0, epochs=3, progress=told.append, fitted={})
    assert isinstance(ridge, RidgeForecaster)
    assert ridge.fitted
    assert not told


def test_a_blend_takes_its_experts_from_those_that_are_fitted() -> None:
    ridge = fit_forecaster(RidgeForecaster(), SPLIT, seed=0)
    blend = BlendForecaster.of_fresh(["ridge", "mean"])
    fit_forecaster(blend, SPLIT, seed=0, fitted={"ridge": ridge, "log-linear": ridge})
    assert blend.experts[0].forecaster is ridge
    assert blend.experts[1].forecaster.name == "mean"
    anew = BlendForecaster.of_fresh(["ridge", "mean"])
    fit_forecaster(anew, SPLIT, seed=0)
    examples = [blend.prepare(case.graph, case.as_of, case.horizon_seconds) for case in SPLIT.test]
    assert blend.forecast(examples).increment.tolist() == anew.forecast(examples).increment.tolist()
