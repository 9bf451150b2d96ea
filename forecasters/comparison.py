"""A trained rolling model beside simple baselines at fixed ages, on cascades that none of them has seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from forecasters.base import Case, Forecaster
from forecasters.dataset import Split, cases
from forecasters.fitting import fit_forecaster, scores_on
from forecasters.registry import forecaster_class

FIXED_AGES_SECONDS: Final = (1800.0, 3600.0)
"""The observation times of the field's tables."""
BASELINES: Final = ("mean", "log-linear", "ridge")


def compare_at_fixed_ages(
    forecaster: Forecaster, split: Split, horizon_seconds: float, *, seed: int = 0
) -> list[dict[str, Any]]:
    """Rows of all metrics for ``forecaster`` as it is and for baselines fitted afresh at each age.

    ``split`` are the rolling cases ``forecaster`` was trained by: its cascades, cut at the fixed ages by the shared
    protocol, are the parts here. An age at or past the horizon, or with an empty part, is left out.
    """
    found = []
    for age in FIXED_AGES_SECONDS:
        if age >= horizon_seconds:
            continue
        parts = (_cut(part, age, horizon_seconds) for part in (split.train, split.validation, split.test))
        fixed = Split(*parts)
        if not (fixed.train and fixed.test):
            continue
        for name in BASELINES:
            fitted = fit_forecaster(forecaster_class(name)(), fixed, seed=seed)
            found.append(_row(name, fitted, fixed, age))
        found.append(_row(forecaster.name, forecaster, fixed, age))
    return found


def comparison_table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a Markdown table."""
    metrics = ("msle", "mape", "male", "pcc", "r2", "coverage")
    head = f"| observed | model | cascades | {' | '.join(metrics)} |\n|{'---|' * (3 + len(metrics))}"
    lines = (
        f"| {row['observe_seconds'] / 60:g} min | {row['model']} | {row['n']} | "
        + " | ".join(f"{row[metric]:.3f}" for metric in metrics)
        + " |"
        for row in rows
    )
    return "\n".join([head, *lines]) + "\n"


def _cut(part: Sequence[Case], age: float, horizon_seconds: float) -> list[Case]:
    graphs = {case.graph.id: case.graph for case in part}
    return cases(graphs.values(), age, horizon_seconds)


def _row(name: str, forecaster: Forecaster, fixed: Split, age: float) -> dict[str, Any]:
    return {"observe_seconds": age, "model": name, "n": len(fixed.test), **scores_on(forecaster, fixed.test)}
