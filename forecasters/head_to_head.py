"""Champion against challenger on the same cascades, so that a person can decide a promotion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from forecasters.base import Case, Forecaster
from forecasters.bootstrap import LEVEL, interval, resampled_means
from forecasters.dataset import DatasetError, cases, increments
from forecasters.metrics import coverage, log_errors
from forecasters.platform_votes import examples_in_turn
from graph import Cascade


def head_to_head(
    champion: Forecaster,
    challenger: Forecaster,
    cascades: Sequence[Cascade],
    observe_seconds: Sequence[float],
    horizon_seconds: float,
) -> list[dict[str, Any]]:
    """A row for each observation age with its cases, and a last one over all (``observe_seconds`` None).

    ``difference`` is the challenger's MSLE less the champion's, with its interval of 95 % from the bootstrap over
    cascades: below 0 on both ends, the challenger is better beyond the chance of which cascades were drawn. Raises
    `DatasetError` when no age leaves a case.
    """
    found: list[dict[str, Any]] = []
    everything: list[Case] = []
    for age in observe_seconds:
        some = cases(cascades, age, horizon_seconds)
        if some:
            found.append(_row(champion, challenger, some, age))
            everything += some
    if not everything:
        raise DatasetError("no cascade is large enough at any of the ages; give a larger file or a later --observe")
    return [*found, _row(champion, challenger, everything, None)]


def _row(champion: Forecaster, challenger: Forecaster, some: Sequence[Case], age: float | None) -> dict[str, Any]:
    truth = increments(some)
    names, places = np.unique([case.graph.id for case in some], return_inverse=True)
    counts = np.bincount(places).astype(np.float64)  # (n,) cases of each cascade
    row: dict[str, Any] = {"observe_seconds": age, "cascades": len(names), "n": len(some)}
    sums = []
    for role, model in (("champion", champion), ("challenger", challenger)):
        said = model.forecast(examples_in_turn(model, some))
        squared = log_errors(said.increment, truth) ** 2
        sums.append(np.bincount(places, weights=squared))
        row[role] = model.version
        row[f"{role}_msle"] = round(float(squared.mean()), 6)
        row[f"{role}_coverage"] = round(coverage(said.low, said.high, truth), 6)
    means = resampled_means(np.array(sums), np.array([counts, counts]))
    low, high = interval(means[:, 1] - means[:, 0])
    difference = row["challenger_msle"] - row["champion_msle"]
    return row | {
        "difference": round(difference, 6),
        "low": round(low, 6),
        "high": round(high, 6),
        "level": LEVEL,
        "better": "challenger" if high < 0.0 else "champion" if low > 0.0 else None,
    }
