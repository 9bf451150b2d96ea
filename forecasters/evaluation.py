"""Tables of forecasters under the shared protocol: trained afresh for each split and seed, or shipped weights
as they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, cast, get_args

import numpy as np

from forecasters.base import Case, Forecaster
from forecasters.dataset import MIN_EVENTS, DatasetError, Split, SplitKind, cases, split_cases
from forecasters.fitting import fit_forecaster, scores_on
from forecasters.intervals import DEFAULT_LEVEL
from forecasters.metrics import POINT_METRICS
from forecasters.model_store import find_model, load_forecaster
from forecasters.registry import forecaster_class, forecaster_names, missing_extra, new_forecaster, parse_spec
from graph import Cascade
from graph.errors import UserError

EvaluationSplit = Literal["random", "time", "all"]
METRICS: Final = (*POINT_METRICS, "coverage")
MIN_CASES: Final = 20
Notice = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class EvaluationPlan:
    """Which models are judged on which cuts. ``epochs`` reaches the models that train in epochs."""

    models: tuple[str, ...]
    observe_seconds: tuple[float, ...]
    horizon_seconds: float
    split: EvaluationSplit = "all"
    seeds: tuple[int, ...] = (0, 1, 2)
    epochs: int | None = None


def evaluation_split(text: str) -> EvaluationSplit:
    """Raises `UserError` for anything but random, time and all."""
    if text not in get_args(EvaluationSplit):
        raise UserError(f"unknown split {text!r}; use {', '.join(get_args(EvaluationSplit))}")
    return cast("EvaluationSplit", text)


def chosen_models(text: str, split: EvaluationSplit) -> tuple[str, ...]:
    """Model specs from ``all`` or ``a,b``; raises `UserError` for an unknown name.

    ``all`` means what can run here: every name where models are trained, those with stored weights (or that
    need none) where they are not.
    """
    if text.strip() != "all":
        specs = tuple(part.strip() for part in text.split(",") if part.strip())
        for spec in specs:
            parse_spec(spec.partition("@")[0])
            if split != "all" and "@" in spec:
                raise UserError(
                    f"{spec!r}: a {split} split trains models afresh; leave the version out, or use --split all"
                )
        if not specs:
            raise UserError("--models names no model; give 'all' or names such as 'hawkes,ridge'")
        return specs
    names = (name for name in forecaster_names() if missing_extra(name) is None)
    if split != "all":
        return tuple(names)
    return tuple(n for n in names if find_model(n) is not None or not forecaster_class(n).needs_training)


def evaluate(
    cascades: Sequence[Cascade], plan: EvaluationPlan, *, data: str, notice: Notice | None = None
) -> Iterator[dict[str, Any]]:
    """One row for each model and observation time, as soon as it is known.

    A metric of a row is its mean over the seeds and ``<metric>_std`` its standard deviation over them (0 for
    one seed; None where it is undefined). The test part is only ever forecast. Raises `DatasetError` when a
    cut leaves too few cases.
    """
    for observe in plan.observe_seconds:
        found = cases(cascades, observe, plan.horizon_seconds)
        if len(found) < (1 if plan.split == "all" else MIN_CASES):
            raise DatasetError(
                f"{data}: {len(found)} of {len(cascades)} cascades have {MIN_EVENTS} events or more before "
                f"{observe:g} s; give a larger file or a later --observe"
            )
        for model in plan.models:
            if notice is not None:
                notice(f"{model}, observed for {observe:g} s")
            yield _row(model, found, observe, plan, data)


def _row(model: str, found: list[Case], observe: float, plan: EvaluationPlan, data: str) -> dict[str, Any]:
    runs = []
    forecaster: Forecaster | None = None
    tested = 0
    for seed in plan.seeds if plan.split != "all" else (0,):
        forecaster, test = _ready(model, found, plan, seed)
        tested = len(test)
        runs.append(scores_on(forecaster, test))
    return {
        "model": model.partition("@")[0],
        "model_version": forecaster.version if forecaster is not None else None,
        "data": data,
        "split": plan.split,
        "observe_seconds": observe,
        "horizon_seconds": plan.horizon_seconds,
        "n": tested,
        **_over_seeds(runs),
        "level": getattr(forecaster, "level", DEFAULT_LEVEL),
        "seeds": [] if plan.split == "all" else list(plan.seeds),
    }


def _ready(model: str, found: list[Case], plan: EvaluationPlan, seed: int) -> tuple[Forecaster, list[Case]]:
    """A forecaster fit for the test, and the cases to test it on."""
    if plan.split == "all":
        return load_forecaster(model), found
    kind: SplitKind = plan.split
    split: Split = split_cases(found, kind, seed)
    forecaster = new_forecaster(model)
    return fit_forecaster(forecaster, split, seed=seed, epochs=plan.epochs), split.test


def _over_seeds(runs: Sequence[dict[str, float]]) -> dict[str, float | None]:
    columns = {metric: np.array([run[metric] for run in runs]) for metric in METRICS}
    means = {metric: _number(float(values.mean())) for metric, values in columns.items()}
    spreads = {f"{metric}_std": _number(float(values.std())) for metric, values in columns.items()}
    return means | spreads


def _number(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None
