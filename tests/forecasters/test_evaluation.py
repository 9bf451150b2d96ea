"""Evaluation and training as libraries: what is trained on, what is tested on, what is written."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from forecasters.dataset import DatasetError, Split, cases, increments, rolling_cases, split_cases
from forecasters.evaluation import EvaluationPlan, evaluate
from forecasters.fitting import fit_forecaster
from forecasters.metrics import msle
from forecasters.model_store import ModelStore, load_forecaster
from forecasters.registry import forecaster_names, new_forecaster
from forecasters.selection import chosen_models
from forecasters.summary import METRICS
from forecasters.training import train_version, training_split
from forecasters.training_plan import DataFile, TrainingPlan
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


def test_all_means_every_model_where_they_are_trained() -> None:
    assert chosen_models("all", "random") == tuple(forecaster_names())
    assert {"seismic", "hawkes"} <= set(chosen_models("all", "all"))


def test_models_that_make_no_sense_are_refused() -> None:
    for text, split in (("oracle", "all"), ("", "all"), ("hawkes@1", "time")):
        with pytest.raises(UserError):
            chosen_models(text, split)  # type: ignore[arg-type]


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


def test_training_writes_a_version_whose_card_says_what_was_measured(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    stored, results = train_version(
        CASCADES, TrainingPlan("ridge", DAY), store, files=[DataFile("some.jsonl", "abc", 80)]
    )
    assert math.isfinite(results["msle"])
    assert results["train_cases"] > results["test_cases"] > 0
    for said in ("some.jsonl", "abc", "rolling", "24h", f"{results['msle']:.4g}"):
        assert said in stored.card()
    assert stored.config()["training"]["results"]["msle"] == results["msle"]
    assert load_forecaster("ridge", tmp_path).version == "1"


def test_training_can_be_repeated_to_the_bit(tmp_path: Path) -> None:
    one, two = (
        train_version(CASCADES, TrainingPlan("ridge", DAY, seed=4), ModelStore(tmp_path / d), files=FILES)[0]
        for d in ("one", "two")
    )
    assert (one.directory / "model.safetensors").read_bytes() == (two.directory / "model.safetensors").read_bytes()


def test_a_plan_for_given_ages_cuts_there_and_a_rolling_one_anywhere() -> None:
    fixed = training_split(CASCADES, TrainingPlan("ridge", DAY, (1800.0, 3600.0)))
    ages = {round(case.as_of - case.graph.root_time) for case in fixed.train}
    assert ages == {1800, 3600}
    rolling = training_split(CASCADES, TrainingPlan("ridge", DAY, seed=2))
    everything = rolling_cases(CASCADES, DAY, seed=2)
    assert len(rolling.train) + len(rolling.validation) + len(rolling.test) == len(everything)


def test_too_few_cascades_and_a_taken_version_are_refused(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    with pytest.raises(DatasetError, match="20 are needed"):
        train_version(CASCADES[:5], TrainingPlan("mean", DAY), store, files=FILES)
    train_version(CASCADES, TrainingPlan("mean", DAY), store, files=FILES, version="a")
    with pytest.raises(UserError, match="choose another --version"):
        train_version(CASCADES, TrainingPlan("mean", DAY), store, files=FILES, version="a")
