"""Intervals calibrated anew cover what they promise on posts like the new ones; forecasts stay as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from forecasters.base import Forecaster
from forecasters.calibration import calibrated_version
from forecasters.dataset import DatasetError, increments, rolling_cases
from forecasters.errors import NotCalibratedError
from forecasters.hawkes import HawkesForecaster
from forecasters.intervals import ConformalIntervals
from forecasters.metrics import coverage
from forecasters.model_store import ModelStore
from forecasters.ridge import RidgeForecaster
from forecasters.training_plan import DataFile
from graph import Cascade
from graph.errors import UserError
from tests.forecasters.cascades import random_cascades

HORIZON = 86_400.0


def files(name: str = "new.jsonl", hashed: str = "1") -> list[DataFile]:
    return [DataFile(name, hashed, 150)]


def answers(forecaster: Forecaster, cascades: list[Cascade]) -> tuple[np.ndarray, float]:
    cases = rolling_cases(cascades, HORIZON, seed=5)
    said = forecaster.forecast([forecaster.prepare(c.graph, c.as_of, c.horizon_seconds) for c in cases])
    return said.increment, coverage(said.low, said.high, increments(cases))


def test_covers_new_posts_with_the_same_forecasts(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    fitted = RidgeForecaster().fit(rolling_cases(random_cascades(100, 3), HORIZON), [])
    fitted.intervals = ConformalIntervals.uncalibrated()
    before = store.publish(fitted, version="a", card="# Card of a\n")
    after, record = calibrated_version(before, random_cascades(150, 1), store, files=files(), horizon_seconds=HORIZON)
    fresh = random_cascades(150, 2)
    forecast_before, covered_before = answers(before.load(), fresh)
    assert covered_before > 0.9, "too wide"
    forecast_after, covered = answers(after.load(), fresh)
    np.testing.assert_array_equal(forecast_after, forecast_before)
    assert covered == pytest.approx(0.8, abs=0.06)
    assert record["of_version"] == "a"
    assert record["cases"] > 300
    assert after.version != "a"
    assert after.card().startswith("# Card of a")
    assert "models calibrate ridge@a --data new.jsonl" in after.card()
    assert after.config()["training"]["calibration"] == record


def test_posts_it_was_trained_on_are_refused(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    training = {"data": [{"name": "old.jsonl", "xxh3_128": "7", "cascades": 9}]}
    stored = store.publish(HawkesForecaster(), version="a", training=training)
    with pytest.raises(UserError, match=r"old\.jsonl: hawkes a was trained on this file"):
        calibrated_version(stored, [], store, files=files("old.jsonl", "7"), horizon_seconds=HORIZON)


def test_too_few_posts_are_refused(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    stored = store.publish(HawkesForecaster(), version="a")
    with pytest.raises(DatasetError, match="20 are needed"):
        calibrated_version(stored, random_cascades(5, 1), store, files=files(), horizon_seconds=HORIZON)
    assert store.versions("hawkes") == ["a"]


def test_a_model_without_such_intervals_says_so() -> None:
    forecaster = HawkesForecaster()
    forecaster.intervals = None
    with pytest.raises(NotCalibratedError, match="hawkes has no intervals"):
        forecaster.calibrate([], np.zeros(0))
