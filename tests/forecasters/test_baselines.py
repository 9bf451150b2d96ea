"""The fitted baselines: what each reads, and that each finds what is there to find."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasters.dataset import DatasetError, cases, increments, split_cases
from forecasters.errors import ModelStoreError
from forecasters.gradient_boosting import GradientBoostingForecaster
from forecasters.linear import Linear
from forecasters.log_linear import LogLinearForecaster
from forecasters.mean import MeanForecaster
from forecasters.regression import LogRegression
from forecasters.ridge import BINS, RidgeForecaster
from graph.errors import UserError
from tests.forecasters.cascades import START, cascade_of, random_cascades

DAY = 86_400.0
FITTED: list[type[LogRegression]] = [MeanForecaster, LogLinearForecaster, RidgeForecaster, GradientBoostingForecaster]


def test_least_squares_agrees_with_numpy() -> None:
    rng = np.random.default_rng(0)
    X, noise = rng.normal(5, 3, (80, 4)), rng.normal(0, 1, 80)
    y = X @ np.array([1.0, -2.0, 0.0, 3.0]) + 7.0 + noise
    exact = np.linalg.lstsq(np.column_stack([X, np.ones(80)]), y, rcond=None)[0]
    found = Linear.fit(X, y, penalty=0.0)
    np.testing.assert_allclose(found.weights, exact[:-1], atol=1e-6)
    np.testing.assert_allclose(found.predict(X), np.column_stack([X, np.ones(80)]) @ exact, atol=1e-6)


def test_the_penalty_shrinks_all_weights_and_leaves_the_intercept() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(0, 1, (60, 3))
    y = X.sum(axis=1) + 4.0
    sizes = [float(np.abs(Linear.fit(X, y, penalty).weights).sum()) for penalty in (0.0, 0.1, 1.0, 100.0)]
    assert sizes == sorted(sizes, reverse=True)
    assert Linear.fit(X, y, 1e9).predict(X) == pytest.approx(np.full(60, y.mean()), abs=1e-6)


@given(value=st.floats(-1e6, 1e6))
def test_a_feature_that_never_varied_has_no_say(value: float) -> None:
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(0, 1, 50), np.full(50, value)])
    found = Linear.fit(X, X[:, 0] * 2, penalty=0.0)
    assert found.weights[1] == 0.0


def test_the_mean_forecasts_the_mean_of_the_log_labels() -> None:
    found = cases(random_cascades(30), 3600.0, DAY)
    forecaster = MeanForecaster().fit(found, [])
    example = forecaster.prepare(found[0].graph, found[0].as_of, DAY)
    expected = 2 ** np.log2(1 + increments(found)).mean() - 1
    assert forecaster.forecast([example]).increment[0] == pytest.approx(expected)


def test_an_age_without_training_takes_the_mean_over_all() -> None:
    found = cases(random_cascades(30), 3600.0, DAY)
    forecaster = MeanForecaster().fit(found, [])
    young, old = (forecaster.prepare(found[0].graph, found[0].graph.root_time + age, DAY) for age in (10.0, 80_000.0))
    both = forecaster.forecast([young, old]).increment
    assert both[0] == both[1]


def test_log_linear_recovers_a_power_of_the_observed_count() -> None:
    """Cascades whose growth is 3 (1 + observed)^0.5 - 1, to the rounding of whole reshares."""
    training = []
    for index, observed in enumerate(range(10, 400, 13)):
        growth = round(3 * (1 + observed) ** 0.5 - 1)
        training.append(cascade_of([60.0] * observed + [7200.0] * growth, name=f"c{index}", start=START + index))
    forecaster = LogLinearForecaster().fit(cases(training, 3600.0, DAY), [])
    example = forecaster.prepare(cascade_of([60.0] * 200), START + 3600.0, DAY)
    assert forecaster.forecast([example]).increment[0] == pytest.approx(3 * 201**0.5 - 1, rel=0.03)


def test_ridge_reads_the_log_counts_of_ten_equal_parts() -> None:
    ages = [50.0, 50.0, 150.0, 950.0, 999.0, 1000.0]  # parts of 100 s; as_of is inclusive
    features = RidgeForecaster().features(cascade_of(ages).view(START + 1000.0), DAY)
    assert len(features) == BINS + 3
    np.testing.assert_allclose(features[:BINS], np.log2([3, 2, 1, 1, 1, 1, 1, 1, 1, 4]))
    assert features[BINS] == pytest.approx(np.log2(7))


@pytest.mark.parametrize("kind", FITTED[1:])
def test_what_can_be_learned_beats_the_mean(kind: type[LogRegression]) -> None:
    split = split_cases(cases(random_cascades(400), 1800.0, DAY), "random", 0)
    truth = np.log2(1 + increments(split.test))

    def loss(forecaster: LogRegression) -> float:
        fitted = forecaster.fit(split.train, split.validation)
        examples = [fitted.prepare(c.graph, c.as_of, c.horizon_seconds) for c in split.test]
        return float(np.mean((np.log2(1 + fitted.forecast(examples).increment) - truth) ** 2))

    assert loss(kind()) < 0.9 * loss(MeanForecaster())


@pytest.mark.parametrize("kind", FITTED)
def test_an_untrained_baseline_says_how_to_train_it(kind: type[LogRegression]) -> None:
    forecaster = kind()
    with pytest.raises(ModelStoreError, match=f"cascadecast train {forecaster.name}"):
        forecaster.forecast([forecaster.prepare(cascade_of([1.0]), START + 10.0, DAY)])


@pytest.mark.parametrize("kind", FITTED)
def test_nothing_to_train_on_is_the_users_error(kind: type[LogRegression]) -> None:
    with pytest.raises(DatasetError, match="no cases to train on"):
        kind().fit([], [])


def test_without_lightgbm_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "lightgbm", None)
    found = cases(random_cascades(30), 3600.0, DAY)
    with pytest.raises(UserError, match=r"cascadecast\[train\]"):
        GradientBoostingForecaster().fit(found, [])


def test_trees_of_other_features_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = cases(random_cascades(30), 3600.0, DAY)
    GradientBoostingForecaster().fit(found, []).save(tmp_path)
    monkeypatch.setattr("forecasters.gradient_boosting.FEATURE_NAMES", ("something else",))
    with pytest.raises(ModelStoreError, match="other features"):
        GradientBoostingForecaster.load(tmp_path)


def test_listing_the_registry_imports_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    from forecasters import registry

    real = builtins.__import__

    def guarded(name: str, *args: Any, **kwargs: Any) -> Any:
        assert name not in {"torch", "lightgbm"}, f"{name} was imported"
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", guarded)
    assert registry.forecaster_names()[:3] == ["mean", "log-linear", "ridge"]
    with pytest.raises(ModelStoreError, match="the models are mean"):
        registry.forecaster_class("oracle")
