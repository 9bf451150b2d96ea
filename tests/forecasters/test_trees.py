"""Boosted trees as arrays: the same numbers as LightGBM's own, without LightGBM."""

from __future__ import annotations

import builtins
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasters.base import Case
from forecasters.context import ContextConfig
from forecasters.context.fitting import TaughtCases, taught_cases
from forecasters.dataset import increments, rolling_cases
from forecasters.errors import ModelStoreError
from forecasters.metrics import msle
from forecasters.trees import TreeArrays, TreesForecaster
from forecasters.trees.leaf_masks import MANY_ROWS
from tests.forecasters.cascades import random_cascades

DAY = 86_400.0


def boosters(seed: int, leaves: int, rounds: int) -> tuple[list[Any], np.ndarray]:
    rng = np.random.default_rng(seed)
    X = np.round(rng.normal(size=(400, 6)), 1)  # rounded: rows that lie on a threshold
    y = X[:, 0] * X[:, 1] + np.abs(X[:, 2]) + 0.1 * rng.normal(size=400)
    made = [
        lightgbm.train(
            {"num_leaves": leaves, "min_data_in_leaf": 5, "verbosity": -1, "num_threads": 1, "seed": bag},
            lightgbm.Dataset(X, y),
            num_boost_round=rounds,
        )
        for bag in range(2)
    ]
    return made, np.vstack([X, 100.0 * rng.normal(size=(50, 6))])


@settings(max_examples=10)
@given(st.integers(0, 1000), st.integers(2, 40), st.integers(1, 30))
def test_equal_to_lightgbm(seed: int, leaves: int, rounds: int) -> None:
    made, X = boosters(seed, leaves, rounds)
    arrays = TreeArrays.from_lightgbm([booster.dump_model() for booster in made])
    expected = np.mean([booster.predict(X) for booster in made], axis=0)
    np.testing.assert_allclose(arrays.predict(X), expected, rtol=1e-10, atol=1e-10)


def test_a_row_depends_on_nothing_else_to_the_bit() -> None:
    made, X = boosters(0, 15, 20)
    arrays = TreeArrays.from_lightgbm([booster.dump_model() for booster in made])
    together = arrays.predict(X)
    assert [arrays.predict(X[i : i + 1])[0] for i in range(0, 450, 37)] == together[::37].tolist()
    assert arrays.predict(X[:0]).shape == (0,)


def test_trees_of_a_single_leaf_are_a_constant() -> None:
    leaf = {"tree_info": [{"tree_structure": {"leaf_value": 2.5}}]}
    assert TreeArrays.from_lightgbm([leaf]).predict(np.zeros((3, 6))).tolist() == [2.5] * 3


def test_a_split_that_is_not_numerical_is_refused() -> None:
    tree = {"split_feature": 0, "decision_type": "==", "missing_type": "None", "threshold": 1.0}
    with pytest.raises(ValueError, match="splits by =="):
        TreeArrays.from_lightgbm([{"tree_info": [{"tree_structure": tree}]}])


@pytest.mark.parametrize(("array", "value"), [("trees.left", 10_000), ("trees.features", 6), ("trees.roots", -1)])
def test_damaged_arrays_are_refused(array: str, value: int) -> None:
    made, _ = boosters(0, 15, 3)
    tensors = TreeArrays.from_lightgbm([booster.dump_model() for booster in made]).tensors()
    tensors[array] = tensors[array].copy()
    tensors[array][0] = value
    with pytest.raises(ValueError, match=r"nowhere|not"):
        TreeArrays.from_tensors(tensors, 6)


@pytest.fixture(scope="module")
def split() -> tuple[list[Case], list[Case]]:
    return rolling_cases(random_cascades(60), DAY), rolling_cases(random_cascades(30, seed=7), DAY)


@pytest.fixture(scope="module")
def fitted(split: tuple[list[Case], list[Case]]) -> TreesForecaster:
    return TreesForecaster().fit(*split)


def forecast_of(forecaster: TreesForecaster, cases: list[Case]) -> np.ndarray:
    return forecaster.forecast([forecaster.prepare(c.graph, c.as_of, c.horizon_seconds) for c in cases]).increment


def test_it_learns(fitted: TreesForecaster, split: tuple[list[Case], list[Case]]) -> None:
    train, unseen = split
    truth = increments(unseen)
    always = np.full(len(truth), np.exp2(np.log2(1 + increments(train)).mean()) - 1)
    assert msle(forecast_of(fitted, unseen), truth) < 0.5 * msle(always, truth)


def test_a_stored_model_forecasts_without_lightgbm(
    fitted: TreesForecaster,
    split: tuple[list[Case], list[Case]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fitted.save(tmp_path)
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "lightgbm":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    loaded = TreesForecaster.load(tmp_path)
    np.testing.assert_array_equal(forecast_of(loaded, split[1]), forecast_of(fitted, split[1]))


def test_a_damaged_file_is_named(fitted: TreesForecaster, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace('"log_reshares"', '"log_likes"'))
    with pytest.raises(ModelStoreError, match="other features"):
        TreesForecaster.load(tmp_path)


def walked(trees: TreeArrays, row: np.ndarray) -> float:
    total = 0.0
    for place in trees.roots.tolist():
        while trees.features[place] >= 0:
            goes_left = row[trees.features[place]] <= trees.thresholds[place]
            place = int((trees.left if goes_left else trees.right)[place])
        total += float(trees.values[place])
    return total


@settings(max_examples=10)
@given(st.integers(0, 1000), st.integers(2, 60), st.integers(1, 10))
def test_the_same_bits_as_a_walk_from_node_to_node(seed: int, leaves: int, rounds: int) -> None:
    made, X = boosters(seed, leaves, rounds)
    X[::7, seed % 6] = np.nan  # goes right, as in a walk
    arrays = TreeArrays.from_lightgbm([booster.dump_model() for booster in made])
    expected = [walked(arrays, row) for row in X]
    assert arrays.predict(X).tolist() == expected
    few = MANY_ROWS - 1
    assert arrays.predict(X[:few]).tolist() == expected[:few]


def test_a_tree_of_too_many_leaves_is_refused() -> None:
    tree: dict[str, Any] = {"leaf_value": 0.0}
    for threshold in range(64):
        split = {"split_feature": 0, "decision_type": "<=", "missing_type": "None", "threshold": threshold}
        tree = split | {"left_child": tree, "right_child": {"leaf_value": 1.0}}
    with pytest.raises(ValueError, match="65 leaves"):
        TreeArrays.from_lightgbm([{"tree_info": [{"tree_structure": tree}]}])


def test_a_node_that_is_reached_in_two_ways_is_refused() -> None:
    made, _ = boosters(0, 15, 3)
    tensors = TreeArrays.from_lightgbm([booster.dump_model() for booster in made]).tensors()
    tensors["trees.left"] = np.where(tensors["trees.features"] < 0, tensors["trees.left"], tensors["trees.roots"][0])
    with pytest.raises(ValueError, match="two ways"):
        TreeArrays.from_tensors(tensors, 6)


def test_a_worker_that_asks_trees_alone_loads_no_torch() -> None:
    """It takes seconds and some hundred megabytes in every process of a trial."""
    code = (
        "import sys; from forecasters.registry import forecaster_class as f; f('trees'); print('torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    assert found.stdout.strip() == "False"


def test_they_learn_the_labels_that_the_context_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    def doubled(train: Sequence[Case], config: ContextConfig, *, seed: int) -> TaughtCases:
        taught = taught_cases(train, replace(config, cuts=2), seed=seed)
        return replace(taught, labels=taught.labels + 1.0)

    train = rolling_cases(random_cascades(60), DAY)
    examples = [TreesForecaster().prepare(case.graph, case.as_of, case.horizon_seconds) for case in train]
    monkeypatch.setattr("forecasters.context.fitting.taught_cases", doubled)
    learned = np.log2(1.0 + TreesForecaster().fit(train, []).point(examples)).mean()
    assert learned == pytest.approx(np.log2(1.0 + increments(train)).mean() + 1.0, abs=0.3)
