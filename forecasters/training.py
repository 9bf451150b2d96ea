"""Train one model as the ``train`` command does: cases, fit, a test on cases it never saw, a version in the
store with its card."""

from __future__ import annotations

import inspect
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from forecasters.comparison import compare_at_fixed_ages, comparison_table
from forecasters.dataset import DatasetError, Split, SplitKind, cases, rolling_cases, split_cases
from forecasters.fitting import EpochProgress, fit_forecaster, scores_on
from forecasters.model_store import ModelStore, StoredModel, checked_name
from forecasters.registry import forecaster_class, new_forecaster, parse_spec
from graph import Cascade
from graph.errors import UserError

MIN_CASCADES: Final = 20
"""Fewer leave a validation part of two or three: nothing can be chosen or calibrated by that."""


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """What to train on which cuts; ``observe_seconds`` empty means rolling: random ages up to the horizon."""

    model: str
    horizon_seconds: float
    observe_seconds: tuple[float, ...] = ()
    split: SplitKind = "random"
    seed: int = 0
    epochs: int | None = None

    @property
    def rolling(self) -> bool:
        """Whether the model must answer at any age."""
        return not self.observe_seconds

    def command(self, data: str) -> str:
        """The command line that repeats this training on ``data``."""
        ages = "--rolling"
        if self.observe_seconds:
            ages = f"--observe {','.join(f'{age:g}s' for age in self.observe_seconds)}"
        epochs = "" if self.epochs is None else f" --epochs {self.epochs}"
        return (
            f"cascadecast train {self.model} --data {data} {ages} --horizon {self.horizon_seconds:g}s "
            f"--split {self.split} --seed {self.seed}{epochs}"
        )


def training_split(cascades: Sequence[Cascade], plan: TrainingPlan) -> Split:
    """The cases of a plan in three parts; raises `DatasetError` when there are too few cascades for that."""
    if plan.rolling:
        found = rolling_cases(cascades, plan.horizon_seconds, seed=plan.seed)
    else:
        found = [case for observe in plan.observe_seconds for case in cases(cascades, observe, plan.horizon_seconds)]
    usable = len({case.graph.id for case in found})
    if usable < MIN_CASCADES:
        raise DatasetError(
            f"only {usable} of {len(cascades)} cascades have enough events, {MIN_CASCADES} are needed; "
            "give a larger file or a later --observe"
        )
    return split_cases(found, plan.split, plan.seed)


def train_version(
    cascades: Sequence[Cascade],
    plan: TrainingPlan,
    store: ModelStore,
    *,
    data: str,
    data_hash: str,
    version: str | None = None,
    resume: bool = False,
    progress: EpochProgress | None = None,
) -> tuple[StoredModel, dict[str, Any]]:
    """Train, test and publish; returns the stored version and its results (test scores, counts, cost in
    seconds)."""
    name, _ = parse_spec(plan.model)
    if version is not None and checked_name(version, "version") in store.versions(name):
        raise UserError(f"{store.root / name / version} exists; versions never change, choose another --version")
    split = training_split(cascades, plan)
    checkpoint = store.root / name / f".checkpoint-seed{plan.seed}"
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    if not resume:
        checkpoint.unlink(missing_ok=True)
    began = time.perf_counter()
    forecaster = fit_forecaster(
        new_forecaster(plan.model),
        split,
        seed=plan.seed,
        epochs=plan.epochs,
        progress=progress,
        checkpoint=checkpoint,
    )
    fitted = time.perf_counter() - began
    results: dict[str, Any] = {
        **scores_on(forecaster, split.test),
        "train_cases": len(split.train),
        "validation_cases": len(split.validation),
        "test_cases": len(split.test),
        "fit_seconds": round(fitted, 2),
    }
    beside = ""
    if plan.rolling:
        beside = comparison_table(compare_at_fixed_ages(forecaster, split, plan.horizon_seconds, seed=plan.seed))
    protocol = {
        "observe_seconds": list(plan.observe_seconds) or "rolling",
        "horizon_seconds": plan.horizon_seconds,
        "split": plan.split,
        "seed": plan.seed,
        "data": data,
        "data_xxh3_128": data_hash,
        "command": plan.command(data),
    }
    stored = store.publish(
        forecaster,
        version=version,
        training={**protocol, "results": results},
        card=card(plan.model, protocol, results, beside),
    )
    checkpoint.unlink(missing_ok=True)
    return stored, results


def card(name: str, protocol: dict[str, Any], results: dict[str, Any], beside: str = "") -> str:
    """The model card (Markdown), written by the run itself so that it cannot claim what was not measured.

    ``beside`` is the table of a rolling model and of baselines fitted at fixed ages, if any.
    """
    kind = forecaster_class(parse_spec(name)[0])
    verb = "Trained" if kind.needs_training else "Intervals calibrated (nothing else is learned)"
    summary = inspect.cleandoc(kind.__doc__ or "")
    told = "\n".join(f"- {key.replace('_', ' ')}: {value}" for key, value in protocol.items())
    measured = "\n".join(
        f"| {key.replace('_', ' ')} | {value:.4g} |"
        if isinstance(value, float)
        else f"| {key.replace('_', ' ')} | {value} |"
        for key, value in results.items()
    )
    if beside:
        beside = (
            "### Beside baselines at fixed ages\n\nThe same test cascades, those with 10 events or more by then; each "
            f"baseline was fitted at that very age, this model at any.\n\n{beside}\n"
        )
    return (
        f"# {name}\n\n{summary}\n\n## {verb} on\n\n{told}\n\n"
        "## Measured on the test part\n\nCascades that neither the fit nor any choice has seen; errors in log2.\n\n"
        f"| what | value |\n|---|---|\n{measured}\n\n{beside}"
        f"Fitted on {platform.machine()} {platform.system()}, Python {platform.python_version()}.\n\n"
        "## Mind\n\nThe model knows the platform and the years of its data. On other posts look at the coverage and "
        "the squared log error of its published scores before trusting it.\n"
    )
