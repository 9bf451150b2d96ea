"""Means of scores by model and age, held against what the code of the evaluation makes of the same cases."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np

from forecasters import metrics
from forecasters.learning_ages import BUCKET_NAMES, bucket_of
from streams.scoring.scores import ScoreRecord

Pair = tuple[ScoreRecord, ScoreRecord]
"""A score as published and as recomputed."""


class Group(msgspec.Struct, frozen=True):
    """The scores of a model at an age, by the code of the evaluation, and how far their means lie from that at most."""

    model: str
    model_version: str
    age: str
    n: int
    msle: float
    bias: float
    mape: float
    coverage: float
    difference: float


def means_of(pairs: Iterable[Pair]) -> list[Group]:
    """Of each model and age, in their order."""
    return [_group(key, some) for key, some in _grouped(pairs).items()]


def _grouped(pairs: Iterable[Pair]) -> dict[tuple[str, str, int], list[Pair]]:
    found: dict[tuple[str, str, int], list[Pair]] = {}
    for pair in pairs:
        bucket = int(bucket_of(np.array([pair[0].age_seconds]))[0])
        found.setdefault((pair[0].model, pair[0].model_version, bucket), []).append(pair)
    return dict(sorted(found.items()))


def _group(key: tuple[str, str, int], pairs: list[Pair]) -> Group:
    model, version, bucket = key
    found, made = zip(*pairs, strict=True)
    observed = np.array([score.observed for score in made])
    expected, low, high, actual = (
        np.array([getattr(score, name) for score in made]) - observed for name in ("expected", "low", "high", "actual")
    )
    truth = np.maximum(0.0, actual)
    figures = metrics.score(expected, truth, low, high) | {"bias": metrics.bias(expected, truth)}
    means = {
        "msle": np.mean([score.squared_log_error for score in found]),
        "bias": np.mean([score.log_error for score in found]),
        "mape": np.mean([score.absolute_percentage_error for score in found]),
        "coverage": np.mean([score.covered for score in found]),
    }
    difference = max(abs(float(mean) - figures[name]) for name, mean in means.items())
    return Group(
        model, version, BUCKET_NAMES[bucket], len(pairs),
        figures["msle"], figures["bias"], figures["mape"], figures["coverage"], difference,
    )  # fmt: skip
