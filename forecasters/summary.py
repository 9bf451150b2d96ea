"""Rows of a table from runs: metrics over seeds, their uncertainty, and how a model stands to a reference."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forecasters.bootstrap import interval, resampled_means
from forecasters.metrics import POINT_METRICS
from forecasters.runs import AgeCoverage, Run

Floats = NDArray[np.float64]

METRICS: Final = (*POINT_METRICS, "coverage")


def rows_of(
    runs: Sequence[Run], *, data: str, split: str, reference: str | None, shared: dict[str, Any]
) -> list[dict[str, Any]]:
    """A row for each observation age and model; runs of an age lie together, and so do those of a model in it.

    ``shared`` are keys that every row has. The models of an age must have been scored on the same cascades.
    """
    rows = []
    for _, of_age in groupby(runs, key=lambda run: run.observe_seconds):
        models = {model: list(group) for model, group in groupby(of_age, key=lambda run: run.model)}
        beside = _against(models, reference)
        rows += [
            {**_scores(group, data, split), **shared, **beside[model], **_coverage(group)}
            for model, group in models.items()
        ]
    return rows


def _scores(runs: Sequence[Run], data: str, split: str) -> dict[str, Any]:
    """The documented keys of a row."""
    last = runs[-1]
    scores = [run.scores() for run in runs]
    columns = {metric: np.array([one[metric] for one in scores]) for metric in METRICS}
    return {
        "model": last.model.partition("@")[0],
        "model_version": last.version,
        "data": data,
        "split": split,
        "observe_seconds": last.observe_seconds,
        "horizon_seconds": last.horizon_seconds,
        "n": len(last.cascades),
        **{metric: _number(values.mean()) for metric, values in columns.items()},
        **{f"{metric}_std": _number(values.std()) for metric, values in columns.items()},
        "level": last.level,
        "seeds": [run.seed for run in runs if run.seed is not None],
    }


def _against(models: dict[str, list[Run]], reference: str | None) -> dict[str, dict[str, Any]]:
    """The interval of each model's MSLE and of its ratio and difference to the reference's, over the cascades."""
    order = {
        cascade: i for i, cascade in enumerate(sorted({c for g in models.values() for r in g for c in r.cascades}))
    }
    totals = [_totals(group, order) for group in models.values()]
    sums, counts = np.array([s for s, _ in totals]), np.array([c for _, c in totals])
    means = sums.sum(axis=1) / counts.sum(axis=1)  # (M,), the MSLE
    drawn = resampled_means(sums, counts)  # (R, M)
    names = list(models)
    found: dict[str, dict[str, Any]] = {}
    for i, model in enumerate(names):
        found[model] = {**_bounds("msle", drawn[:, i]), "reference": reference}
        if reference is None:
            continue
        j = names.index(reference)
        found[model] |= {"msle_ratio": _number(means[i] / means[j]) if means[j] > 0.0 else None}
        found[model] |= _bounds("msle_ratio", drawn[:, i] / drawn[:, j]) if drawn[:, j].min() > 0.0 else {}
        found[model] |= {"msle_difference": _number(means[i] - means[j])}
        found[model] |= _bounds("msle_difference", drawn[:, i] - drawn[:, j])
    return {model: dict.fromkeys(COMPARISON) | row for model, row in found.items()}


COMPARISON: Final = (
    "msle_low",
    "msle_high",
    "reference",
    "msle_ratio",
    "msle_ratio_low",
    "msle_ratio_high",
    "msle_difference",
    "msle_difference_low",
    "msle_difference_high",
)


def _totals(runs: Iterable[Run], order: dict[str, int]) -> tuple[Floats, Floats]:
    """Sum and number of the squared errors of each cascade over the seeds, both (n,)."""
    sums, counts = np.zeros(len(order)), np.zeros(len(order))
    for run in runs:
        places = [order[cascade] for cascade in run.cascades]
        sums[places] += run.squared_errors
        counts[places] += 1.0
    return sums, counts


def _bounds(name: str, values: Floats) -> dict[str, float | None]:
    low, high = interval(values)
    return {f"{name}_low": _number(low), f"{name}_high": _number(high)}


def _coverage(runs: Sequence[Run]) -> dict[str, Any]:
    """Coverage at each level, mean over the seeds, and in each bucket of age, of all seeds' forecasts together."""
    levels = [level for level, _ in runs[0].curve]
    curves = np.array([[measured for _, measured in run.curve] for run in runs])  # (S, L)
    by_age: dict[tuple[float, float], list[AgeCoverage]] = {}
    for one in (one for run in runs for one in run.by_age):
        by_age.setdefault((one.from_seconds, one.to_seconds), []).append(one)
    buckets = []
    for (low, high), found in sorted(by_age.items()):
        n, covered = sum(one.n for one in found), sum(one.covered for one in found)
        buckets.append({"from_seconds": low, "to_seconds": high, "n": n, "coverage": _number(covered / n)})
    return {
        "calibration": [[level, _number(value)] for level, value in zip(levels, curves.mean(axis=0), strict=True)],
        "coverage_by_age": buckets or None,
    }


def _number(value: float) -> float | None:
    return round(float(value), 6) if math.isfinite(value) else None
