"""A forecaster is put to use only if it keeps its promises on a trial."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from forecasters.base import Example, Forecasts
from forecasters.errors import ModelStoreError
from forecasters.model_lookup import load_forecaster
from forecasters.model_store import SHIPPED_WEIGHTS, ModelStore
from forecasters.ridge import RidgeForecaster
from forecasters.trial import try_out
from tests.streams.conftest import Doubling


@pytest.mark.parametrize("name", ModelStore(SHIPPED_WEIGHTS, shipped=True).names())
@pytest.mark.parametrize("horizon_seconds", [600.0, 86_400.0, 2_764_800.0])
def test_what_is_shipped_passes(name: str, horizon_seconds: float) -> None:
    try_out(load_forecaster(name), horizon_seconds)


class Spoilt(Doubling):
    """Breaks one promise."""

    def __init__(self, spoil: Callable[[Forecasts], Forecasts]) -> None:
        self.spoil = spoil

    def forecast(self, examples: Sequence[Example]) -> Forecasts:
        return self.spoil(super().forecast(examples))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f: replace(f, increment=f.increment * np.nan), "not finite"),
        (lambda f: replace(f, low=f.low - 1.0), "negative"),
        (lambda f: replace(f, high=f.high * 0.0), "low <= expected <= high"),
        (lambda f: replace(f, low=f.low[:1]), "shape"),
        (lambda f: replace(f, trajectory_increments=f.trajectory_increments[:, ::-1]), "falls"),
        (lambda f: replace(f, trajectory_increments=f.trajectory_increments / 2.0), "does not end"),
    ],
)
def test_each_broken_promise_is_said(spoil: Callable[[Forecasts], Forecasts], said: str) -> None:
    try_out(Spoilt(lambda forecasts: forecasts), 86_400.0)
    with pytest.raises(ModelStoreError, match=f"doubling 1 failed its trial forecast: .*{said}"):
        try_out(Spoilt(spoil), 86_400.0)


def test_a_forecaster_that_cannot_forecast_is_named() -> None:
    with pytest.raises(ModelStoreError, match="ridge 0 failed its trial forecast"):
        try_out(RidgeForecaster(), 86_400.0)
