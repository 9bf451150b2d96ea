"""Boosted trees for any age: the expert that reads the shape of the tree and all that can be counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from forecasters.base import Case, Example
from forecasters.context import CONTEXT_SIZE, ContextConfig, context_features
from forecasters.context.features import payload_features
from forecasters.errors import ModelStoreError
from forecasters.fit_steps import tell
from forecasters.gradient_boosting import lightgbm_module
from forecasters.labels import population_of
from forecasters.model_files import TENSORS_FILE, read_tensors, write_tensors
from forecasters.regression import LogRegression
from forecasters.trees.arrays import TreeArrays
from forecasters.trees.gate import GateArrays
from forecasters.view_memo import once_per_view
from graph import Cascade, CascadeView
from graph.features import FEATURE_NAMES, features

Floats = NDArray[np.float64]

KNOWN_FOR_CERTAIN: Final = 1e9
"""Votes that outweigh any gate: in training the population of each post is known."""
MAX_ROUNDS: Final = 800
PATIENCE: Final = 100
"""Rounds without a gain before training ends: by labels of later ages the validation error falls slowly and long, and
40 ended in a bump of chance."""
ROUNDS_WITHOUT_VALIDATION: Final = 200
BAGS: Final = 3
"""Boosters of different seeds whose forecasts are averaged."""
PARAMETERS: Final[dict[str, Any]] = {
    "objective": "regression",
    "learning_rate": 0.05,
    "num_leaves": 31,
    "min_data_in_leaf": 100,  # many cuts of one cascade are alike: a leaf must hold several cascades
    "feature_fraction": 0.5,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,  # sums of several threads differ in their last bits
    "verbosity": -1,
}


@once_per_view
def tree_features(view: CascadeView, horizon_seconds: float) -> Floats:
    """What the trees read of a view: `graph.features` and the context, finite."""
    own = np.asarray(features(view, horizon_seconds), dtype=np.float64)
    return np.concatenate([own, context_features(view, horizon_seconds)])


class TreesForecaster(LogRegression):
    """Boosted trees on time, shape, audience and context features, trained on random ages and horizons of each cascade.

    Trained on several populations they also read which of them a post is of, as D columns of 0 and one 1: known in
    training, and told by the context networks' gate and the stream's votes afterwards. Training needs the ``train``
    extra (LightGBM, Ke et al. 2017); forecasts need numpy only.
    """

    name: ClassVar[str] = "trees"
    trees: TreeArrays
    gate: GateArrays | None = None

    def features(self, view: CascadeView, horizon_seconds: float) -> Floats:
        return tree_features(view, horizon_seconds)

    def prepare(self, graph: Cascade, as_of: float, horizon_seconds: float) -> Example:
        view = graph.view(as_of)
        inputs = {"features": self.features(view, horizon_seconds)}
        if self.gate is not None:
            inputs["told"] = np.concatenate([context_features(view, horizon_seconds), payload_features(view)])
            inputs["votes"] = np.zeros(len(self.gate.populations))
        return Example.of(view, horizon_seconds, inputs)

    @property
    def population_names(self) -> tuple[str, ...]:
        return () if self.gate is None else self.gate.populations

    def populations(self, examples: Sequence[Example]) -> NDArray[np.int64] | None:
        if self.gate is None or not examples:
            return None
        told, votes = (np.stack([example.inputs[name] for example in examples]) for name in ("told", "votes"))
        return np.asarray(self.gate.shares(told, votes).argmax(axis=1), dtype=np.int64)

    def in_stream(self, example: Example, votes: Mapping[str, float]) -> Example:
        if self.gate is None:
            return example
        own = np.array([votes.get(name, 0.0) for name in self.gate.populations])
        return replace(example, inputs=example.inputs | {"votes": own})

    def prepared(self, cases: Sequence[Case]) -> list[Example]:
        examples = super().prepared(cases)
        return [
            self.in_stream(example, {population_of(case.graph): KNOWN_FOR_CERTAIN})
            for example, case in zip(examples, cases, strict=True)
        ]

    def matrix(self, examples: Sequence[Example]) -> Floats:
        own, found = super().matrix(examples), self.populations(examples)
        if self.gate is None or found is None:
            return own
        return np.hstack([own, np.eye(len(self.gate.populations))[found]])

    def fit(self, train: Sequence[Case], validation: Sequence[Case], *, seed: int = 0) -> Self:
        # imported here, since who only forecasts with trees needs no torch
        from forecasters.context.fitting import fit_context, taught_cases

        # as the context network learns: trees gain most from labels with less chance in them
        taught = taught_cases(train, ContextConfig(), seed=seed)
        self.gate = None
        if len({population_of(case.graph) for case in train}) > 1:
            self.gate = GateArrays.of(fit_context(train, ContextConfig(), seed=seed))
        return self.fit_labelled(taught.cases, taught.labels, validation, seed=seed)

    def fit_log(self, X: Floats, y: Floats, X_validation: Floats, y_validation: Floats, seed: int) -> None:
        lightgbm = lightgbm_module()
        dumps = []
        for bag in range(BAGS):
            train = lightgbm.Dataset(X, y, free_raw_data=False)
            parameters = PARAMETERS | {"seed": BAGS * seed + bag}
            each_round = _telling(f"boosted trees, bag {bag + 1} of {BAGS}")
            if not len(y_validation):
                booster = lightgbm.train(
                    parameters, train, num_boost_round=ROUNDS_WITHOUT_VALIDATION, callbacks=[each_round]
                )
            else:
                booster = lightgbm.train(
                    parameters,
                    train,
                    num_boost_round=MAX_ROUNDS,
                    valid_sets=[lightgbm.Dataset(X_validation, y_validation, reference=train)],
                    callbacks=[each_round, lightgbm.early_stopping(PATIENCE, verbose=False)],
                )
            dumps.append(booster.dump_model(num_iteration=booster.best_iteration))
        self.trees = TreeArrays.from_lightgbm(dumps)

    def predict_log(self, X: Floats) -> Floats:
        return self.trees.predict(X)

    def save_fit(self, directory: Path) -> dict[str, Any]:
        write_tensors(directory, self.trees.tensors() | ({} if self.gate is None else self.gate.tensors()))
        populations = [] if self.gate is None else list(self.gate.populations)
        return {"features": list(FEATURE_NAMES), "trees": len(self.trees.roots), "populations": populations}

    def load_fit(self, directory: Path, fit: dict[str, Any]) -> None:
        path = directory / TENSORS_FILE
        if fit["features"] != list(FEATURE_NAMES):
            raise ModelStoreError(f"{path}: was trained on other features than this version computes; train it again")
        populations = [str(name) for name in fit.get("populations", [])]  # versions of before read none
        try:
            tensors = read_tensors(directory)
            self.gate = GateArrays.from_tensors(tensors, populations) if populations else None
            read = len(FEATURE_NAMES) + CONTEXT_SIZE + len(populations)
            self.trees = TreeArrays.from_tensors(tensors, read)
        except (KeyError, ValueError) as error:
            raise ModelStoreError(f"{path}: damaged ({error}); train again or restore the file") from error


def _telling(what: str) -> Callable[[Any], None]:
    """A callback of LightGBM that tells the round it is in."""

    def told(at: Any) -> None:
        tell(what, at.iteration - at.begin_iteration, at.end_iteration - at.begin_iteration)

    return told
