"""Train a ranker as a worker uses it, measure it beside today's rules, and store it with a card that says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from forecasters.alerting.evaluation import evaluate_alerts
from forecasters.alerting.growth_curves import GrowthCurves
from forecasters.alerting.plan import RANKER, RANKER_OF_POST, AlertPlan
from forecasters.alerting.ranker import AlertRanker
from forecasters.alerting.trial import Progress
from forecasters.cards import files_table
from forecasters.dataset import SplitKind
from forecasters.model_store import ModelStore, StoredModel
from forecasters.training_plan import DataFile
from graph import Cascade
from graph.durations import format_duration

MEASURED_AT_SECONDS = (1800.0, 3600.0)


@dataclass(frozen=True, slots=True)
class RankerPlan:
    """``split``: "time" or "random" hold 30 % of the posts back to measure on, "none" learns from all of them."""

    horizon_seconds: float
    shares: tuple[float, ...]
    split: SplitKind
    seed: int = 0

    def command(self, files: Sequence[str]) -> str:
        """What repeats it."""
        data = " ".join(f"--data {name}" for name in files)
        top = ",".join(f"{100 * share:g}%" for share in self.shares)
        horizon = format_duration(self.horizon_seconds)
        return (
            f"cascadecast train {RANKER} {data} --top {top} --split {self.split} --seed {self.seed} --horizon {horizon}"
        )


def train_ranker(
    cascades: Sequence[Cascade],
    plan: RankerPlan,
    store: ModelStore,
    *,
    files: Sequence[DataFile],
    version: str | None = None,
    progress: Progress | None = None,
) -> tuple[StoredModel, list[dict[str, Any]]]:
    """The stored version, and how well it ranks the posts held back: rows of `evaluate_alerts`, none with split "none".

    Raises `DatasetError` for too few posts, an empty top share, or events that end before the horizon, `UserError`
    without LightGBM, and `ModelStoreError` for a version that exists.
    """
    if plan.split == "none":
        curves, rows = GrowthCurves.of(cascades, plan.horizon_seconds), []
        ranker = AlertRanker(reads_stream=False).fit(curves, np.arange(len(curves)), plan.shares, seed=plan.seed)
    else:
        ages = tuple(age for age in MEASURED_AT_SECONDS if age < plan.horizon_seconds) or (0.5 * plan.horizon_seconds,)
        asked = AlertPlan(ages, plan.horizon_seconds, plan.shares, plan.split, (plan.seed,), (RANKER_OF_POST,))
        found = evaluate_alerts(cascades, asked, data=", ".join(file.name for file in files), progress=progress)
        ranker, rows = found.trials[0].rankers[RANKER_OF_POST], found.rows
    protocol = {
        "horizon_seconds": plan.horizon_seconds,
        "shares": list(plan.shares),
        "split": plan.split,
        "seed": plan.seed,
        "data": [file.record() for file in files],
        "command": plan.command([file.name for file in files]),
    }
    stored = store.publish(
        ranker, version=version, training={**protocol, "rows": rows}, card=ranker.card() + _report(protocol, rows)
    )
    return stored, rows


def _report(protocol: dict[str, Any], rows: Sequence[dict[str, Any]]) -> str:
    held_back = {
        "time": "the earlier 70 % of the posts; the later 30 % are held back",
        "random": "70 % of the posts, drawn at random; the others are held back",
        "none": "all posts; none is held back, so nothing was measured",
    }
    parts = [f"## Trained on\n\n{files_table(protocol['data'])}\n\n{held_back[protocol['split']]}."]
    if rows:
        lines = [
            f"| {format_duration(row['observe_seconds'])} | {100 * row['top_share']:g} % | {row['rule']} | "
            f"{row['average_precision']:.3f} | {row['ratio']:.3f} ({row['ratio_low']:.2f} to {row['ratio_high']:.2f}) |"
            for row in rows
            if row["protocol"] == "age"
        ]
        table = "\n".join(
            [
                "| age | top | rule | average precision | to the better of today's (95 %) |",
                "|---|---|---|---|---|",
                *lines,
            ]
        )
        parts.append(f"## Measured on the posts held back\n\n{table}")
    parts.append(f"## To repeat it\n\n```\n{protocol['command']}\n```")
    return "\n" + "\n\n".join(parts) + "\n"
