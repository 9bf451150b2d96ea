"""Evaluation and training as libraries: what is trained on, what is tested on, what is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from forecasters.age_coverage import AGE_BUCKETS_SECONDS, bucket_cases
from forecasters.base import Forecaster
from forecasters.dataset import DatasetError, Split, cases, increments, split_cases
from forecasters.evaluation import EvaluationPlan, evaluate
from forecasters.fitting import fit_forecaster
from forecasters.log_linear import LogLinearForecaster
from forecasters.metrics import msle
from forecasters.model_lookup import load_forecaster
from forecasters.model_store import SHIPPED_WEIGHTS, ModelStore
from forecasters.registry import BASELINES, SEEDLESS, forecaster_names, new_forecaster
from forecasters.regression import LogRegression
from forecasters.ridge import RidgeForecaster
from forecasters.selection import chosen_models
from forecasters.summary import METRICS
from forecasters.training_plan import DataFile
from graph.errors import UserError
from tests.forecasters.cascades import cascade_of, random_cascades

DAY = 86_400.0
CASCADES = random_cascades(80)
FILES = [DataFile("d", "h", 80)]


def plan(**changes: object) -> EvaluationPlan:
    settings = {
        "models": ("mean", "ridge"),
        "observe_seconds": (1800.0, 3600.0),
        "horizon_seconds": DAY,
        "split": "random",
    }
    return EvaluationPlan(**(settings | changes))  # type: ignore[arg-type]


def test_a_row_for_each_model_and_observation_time() -> None:
    rows = evaluate(CASCADES, plan(), data="x").rows
    assert [(row["observe_seconds"], row["model"]) for row in rows] == [
        (1800.0, "mean"),
        (1800.0, "ridge"),
        (3600.0, "mean"),
        (3600.0, "ridge"),
    ]
    expected = {"model", "model_version", "data", "split", "observe_seconds", "horizon_seconds", "n", "level", "seeds"}
    expected |= set(METRICS) | {f"{metric}_std" for metric in METRICS}
    assert all(row.keys() >= expected for row in rows)


def test_metrics_are_means_over_the_seeds_of_test_scores() -> None:
    (row,) = evaluate(
        CASCADES, plan(models=("mean",), observe_seconds=(3600.0,), seeds=(0, 1), protocol="paper"), data="x"
    ).rows
    scores = []
    for seed in (0, 1):
        split = split_cases(cases(CASCADES, 3600.0, DAY), "random", seed)
        constant = 2 ** np.log2(1 + increments(split.train)).mean() - 1
        scores.append(msle(np.full(len(split.test), constant), increments(split.test)))
    assert row["msle"] == pytest.approx(np.mean(scores), abs=1e-6)
    assert row["msle_std"] == pytest.approx(np.std(scores), abs=1e-6)
    assert row["pcc"] is None  # of a constant, undefined
    assert row["seeds"] == [0, 1]


def test_shipped_weights_are_scored_on_every_cascade() -> None:
    (row,) = evaluate(CASCADES, plan(models=("hawkes",), observe_seconds=(3600.0,), split="all"), data="x").rows
    assert row["n"] == len(cases(CASCADES, 3600.0, DAY))
    assert row["seeds"] == []
    assert row["model_version"] == load_forecaster("hawkes").version
    assert [one["n"] for one in row["coverage_by_age"]] == [
        len(bucket_cases(CASCADES, bucket, DAY, least=10, seed=0)) for bucket in AGE_BUCKETS_SECONDS
    ]


def test_all_means_what_can_run_there() -> None:
    assert chosen_models("all", "random") == tuple(forecaster_names())
    assert set(chosen_models("all", "random", "paper")) >= {*BASELINES, "concat:paper"}
    assert "concat" not in chosen_models("all", "time", "paper")
    stored = chosen_models("all", "all")
    assert {"seismic", "hawkes"} <= set(stored)
    assert "ridge" not in stored
    assert set(chosen_models("all", "all", with_training=True)) == {*stored, *BASELINES}
    assert chosen_models("ridge,all", "random")[0] == "ridge"
    assert len(chosen_models("ridge,all,ridge", "random")) == len(forecaster_names())


def test_models_that_make_no_sense_are_refused() -> None:
    for text, split in (("oracle", "all"), ("", "all"), ("hawkes@1", "time"), ("concat:paper", "all")):
        with pytest.raises(UserError):
            chosen_models(text, split)  # type: ignore[arg-type]
    assert chosen_models("concat:paper", "all", with_training=True) == ("concat:paper",)


def test_a_rolling_model_is_trained_once_and_scored_at_every_age(monkeypatch: pytest.MonkeyPatch) -> None:
    fits: list[tuple[str, set[float]]] = []
    fit = LogRegression.fit

    def watched(self: LogRegression, train: Any, validation: Any, *, seed: int = 0) -> LogRegression:
        fits.append((self.name, {round(case.as_of - case.graph.root_time) for case in train}))
        return fit(self, train, validation, seed=seed)

    monkeypatch.setattr(LogRegression, "fit", watched)
    monkeypatch.setattr("forecasters.evaluation.answers_any_age", lambda spec: spec == "ridge")
    found = evaluate(CASCADES, plan(models=("log-linear", "ridge"), seeds=(5,)), data="x")
    assert [name for name, _ in fits] == ["log-linear", "log-linear", "ridge"]
    assert [ages for _, ages in fits[:2]] == [{1800}, {3600}]
    assert len(fits[2][1]) > 20
    by_model = {(run.model, run.observe_seconds): run for run in found.runs}
    assert by_model["ridge", 1800.0].cascades == by_model["log-linear", 1800.0].cascades
    buckets = found.rows[1]["coverage_by_age"]
    assert [(one["from_seconds"], one["to_seconds"]) for one in buckets] == list(AGE_BUCKETS_SECONDS)
    assert found.rows[0]["coverage_by_age"] is None


def test_baselines_are_fitted_beside_stored_models_on_a_file_of_their_own() -> None:
    test, training = CASCADES[:40], CASCADES[40:]
    version = ModelStore(SHIPPED_WEIGHTS, shipped=True).aliases("hawkes")["champion"]
    models = ("mean", "lightgbm", "hawkes", f"hawkes@{version}")
    found = evaluate(
        test, plan(models=models, split="all", seeds=(0, 1), observe_seconds=(3600.0,)), data="x", training=training
    )
    mean, trees, hawkes, again = found.rows
    assert (mean["seeds"], trees["seeds"], hawkes["seeds"]) == ([0, 1], [0, 1], [])
    assert {row["n"] for row in found.rows} == {len(cases(test, 3600.0, DAY))}
    assert hawkes["msle"] == again["msle"]
    assert {row["reference"] for row in found.rows} == {"lightgbm"}
    constants = [run.predicted[0] for run in found.runs if run.model == "mean"]
    expected = split_cases(cases(training, 3600.0, DAY), "none", 0).train
    assert constants[0] == pytest.approx(2 ** np.log2(1 + increments(expected)).mean() - 1)


def test_a_model_is_compared_with_the_reference_cascade_by_cascade() -> None:
    found = evaluate(CASCADES, plan(models=("mean", "ridge"), observe_seconds=(3600.0,), reference="mean"), data="x")
    mean, ridge = found.rows
    assert (mean["msle_ratio"], mean["msle_difference"]) == (1.0, 0.0)
    assert mean["msle_ratio_low"] == mean["msle_ratio_high"] == 1.0
    assert ridge["msle_difference"] == pytest.approx(ridge["msle"] - mean["msle"], abs=2e-6)
    assert ridge["msle_ratio"] == pytest.approx(ridge["msle"] / mean["msle"], abs=2e-6)
    assert ridge["msle_low"] < ridge["msle"] < ridge["msle_high"]
    assert ridge["msle_difference_low"] < ridge["msle_difference"] < ridge["msle_difference_high"]
    with pytest.raises(UserError, match="--reference lightgbm is not among the models: mean"):
        evaluate(CASCADES, plan(models=("mean",), reference="lightgbm"), data="x")


def test_without_a_reference_nothing_is_compared() -> None:
    row = evaluate(CASCADES, plan(models=("mean",), observe_seconds=(3600.0,)), data="x").rows[0]
    assert row["reference"] is row["msle_ratio"] is row["msle_difference_low"] is None


def test_one_split_may_serve_all_seeds() -> None:
    settings = {"models": ("lightgbm",), "observe_seconds": (3600.0,), "seeds": (0, 1)}
    own = evaluate(CASCADES, plan(**settings), data="x").runs
    fixed = evaluate(CASCADES, plan(**settings, split_seed=0), data="x").runs
    assert set(own[0].cascades) != set(own[1].cascades)
    assert fixed[0].cascades == fixed[1].cascades == own[0].cascades
    assert (fixed[0].predicted != fixed[1].predicted).any()  # the seed still reaches the model


@pytest.mark.parametrize("name", sorted(SEEDLESS))
def test_what_is_fitted_once_for_all_seeds_does_not_depend_on_them(name: str) -> None:
    split = split_cases(cases(CASCADES, 3600.0, DAY), "random", 0)
    one, other = (fit_forecaster(new_forecaster(name), split, seed=seed) for seed in (0, 1))
    examples = [one.prepare(c.graph, c.as_of, c.horizon_seconds) for c in split.test]
    a, b = one.forecast(examples), other.forecast(examples)
    np.testing.assert_array_equal(a.increment, b.increment)
    np.testing.assert_array_equal(a.high, b.high)


def test_progress_rises_and_names_the_work() -> None:
    told: list[tuple[float, str]] = []
    evaluate(CASCADES, plan(seeds=(0,)), data="x", progress=lambda share, text: told.append((share, text)))
    assert told == [(0.0, "mean, seed 0"), (0.5, "ridge, seed 0")]


def test_a_file_without_cases_is_the_users_error() -> None:
    with pytest.raises(DatasetError, match="later --observe"):
        evaluate([cascade_of([1.0])], plan(), data="x")


def test_the_test_part_is_never_fitted_to() -> None:
    """Changing the labels of the test part changes no forecast."""
    split = split_cases(cases(CASCADES, 3600.0, DAY), "random", 0)
    fitted = fit_forecaster(new_forecaster("ridge"), split, seed=0)
    blind = fit_forecaster(new_forecaster("ridge"), Split(split.train, split.validation, []), seed=0)
    examples = [fitted.prepare(c.graph, c.as_of, c.horizon_seconds) for c in split.test]
    np.testing.assert_array_equal(fitted.forecast(examples).increment, blind.forecast(examples).increment)


def test_what_was_fitted_already_is_offered_to_those_that_rest_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    offered: dict[int, list[str]] = {}

    class Resting(RidgeForecaster):
        def fit(
            self, train: Any, validation: Any, *, seed: int = 0, fitted: Mapping[str, Forecaster] | None = None
        ) -> Resting:
            offered[seed] = list(fitted or {})
            assert all(getattr(one, "fitted", False) for one in (fitted or {}).values())
            return super().fit(train, validation, seed=seed)

    made = {"ridge": Resting, "log-linear": LogLinearForecaster}
    monkeypatch.setattr("forecasters.evaluation.untrained", lambda spec: made[spec]())
    monkeypatch.setattr("forecasters.evaluation.answers_any_age", lambda _: True)
    monkeypatch.setattr("forecasters.evaluation.SEEDLESS", frozenset())
    evaluate(CASCADES, plan(models=("log-linear", "ridge"), observe_seconds=(3600.0,), seeds=(0, 1)), data="x")
    assert offered == {0: ["log-linear"], 1: ["log-linear"]}
