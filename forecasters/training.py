"""Train one model as the ``train`` command does: cases, a fit for each seed, a test on cases none of them saw, the best
of them by validation as a version in the store with its card."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from forecasters.base import Forecaster
from forecasters.cards import Measured, card
from forecasters.comparison import compare_at_ages, fixed_ages
from forecasters.cost import cascades_per_second, parameters_of
from forecasters.dataset import (
    DatasetError,
    Split,
    cases,
    increments,
    rolling_cases,
    split_cases,
)
from forecasters.fitting import fit_forecaster, scores_on
from forecasters.folds import MIN_CASES
from forecasters.metrics import msle
from forecasters.model_files import checked_name
from forecasters.model_store import ModelStore, StoredModel
from forecasters.platform_votes import examples_in_turn
from forecasters.registry import answers_any_age, new_forecaster, parse_spec
from forecasters.training_plan import DataFile, TrainingPlan
from graph import Cascade
from graph.errors import UserError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

COST_CASES: Final = 256
SeedProgress = Callable[[int, Any], None]
"""Called with the seed and what the training loop tells of an epoch."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One seed's fit and its error on the validation part, by which one of them is published."""

    seed: int
    forecaster: Forecaster
    validation_msle: float
    fit_seconds: float


def training_split(cascades: Sequence[Cascade], plan: TrainingPlan) -> Split:
    """The cases of a plan in three parts; raises `DatasetError` when there are too few cascades for that."""
    horizon = plan.horizon_seconds
    if plan.rolling:
        found = rolling_cases(cascades, horizon, seed=plan.seed)
    else:
        found = [case for age in plan.observe_seconds for case in cases(cascades, age, horizon, plan.min_events)]
    usable = len({case.graph.id for case in found})
    if usable < MIN_CASES:
        raise DatasetError(
            f"only {usable} of {len(cascades)} cascades have enough events, {MIN_CASES} are needed; "
            "give a larger file or a later --observe"
        )
    return split_cases(found, plan.split, plan.seed)


def train_version(
    cascades: Sequence[Cascade],
    plan: TrainingPlan,
    store: ModelStore,
    *,
    files: Sequence[DataFile],
    version: str | None = None,
    resume: bool = False,
    progress: SeedProgress | None = None,
    scores: Sequence[dict[str, Any]] = (),
) -> tuple[StoredModel, dict[str, Any]]:
    """Train, test and publish; returns the stored version and its results (scores, counts, cost in seconds).

    ``scores`` are rows of an earlier evaluation for the card of a model that holds no test part back.
    """
    name, variant = parse_spec(plan.model)
    if version is not None and checked_name(version, "version") in store.versions(name):
        raise UserError(f"{store.root / name / version} exists; versions never change, choose another --version")
    split = training_split(cascades, plan)
    checkpoints = [
        store.root / name / f".checkpoint{f'-{variant}' if variant else ''}-seed{seed}" for seed in plan.training_seeds
    ]
    only_chosen_by = _only_chooses(plan, files)
    fitting = _all_for_choosing(split) if only_chosen_by else split
    with _training_on(plan):
        candidates = [
            _candidate(plan, fitting, seed, checkpoint, resume, progress)
            for seed, checkpoint in zip(plan.training_seeds, checkpoints, strict=True)
        ]
    best = min(candidates, key=lambda candidate: candidate.validation_msle)
    results = _results(best, candidates, fitting)
    measured = Measured(
        results=results,
        seeds=[_seed_row(candidate, split) for candidate in candidates],
        rows=_compared(best, plan, split, files) if split.test else list(scores),
        held_out=bool(split.test),
        cost=_cost(best.forecaster, plan, split),
    )
    protocol = {
        "variant": variant,
        "observe_seconds": list(plan.observe_seconds) or "rolling",
        "horizon_seconds": plan.horizon_seconds,
        "split": plan.split,
        "only_chosen_by": only_chosen_by,
        "seed": plan.seed,
        "seeds": list(plan.training_seeds),
        "published_seed": best.seed,
        "data": [file.record() for file in files],
        "command": plan.command([file.name for file in files]),
    }
    stored = store.publish(
        best.forecaster,
        version=version,
        training={
            **protocol,
            "results": results,
            "seeds_results": measured.seeds,
            "rows": measured.rows,
            "cost": measured.cost,
        },
        card=card(plan.model, protocol, measured),
    )
    for checkpoint in checkpoints:
        checkpoint.unlink(missing_ok=True)
    return stored, results


def _only_chooses(plan: TrainingPlan, files: Sequence[DataFile]) -> bool:
    """Whether nothing is fitted to the training part: a blend of stored experts on files that none of them knows."""
    if parse_spec(plan.model)[0] != "blend":
        return False
    from forecasters.blend import BlendForecaster

    forecaster = new_forecaster(plan.model)
    return isinstance(forecaster, BlendForecaster) and forecaster.is_new_to([file.xxh3_128 for file in files])


def _all_for_choosing(split: Split) -> Split:
    return Split([], [*split.train, *split.validation], split.test)


def _training_on(plan: TrainingPlan) -> AbstractContextManager[None]:
    if plan.device == "auto":
        return nullcontext()  # spares a model without PyTorch its import
    from forecasters.training_loop import training_on

    return training_on(plan.device)


def _candidate(
    plan: TrainingPlan, split: Split, seed: int, checkpoint: Path, resume: bool, progress: SeedProgress | None
) -> Candidate:
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    if not resume:
        checkpoint.unlink(missing_ok=True)

    def told(epoch: Any) -> None:
        if progress is not None:
            progress(seed, epoch)

    began = time.perf_counter()
    forecaster = fit_forecaster(
        new_forecaster(plan.model), split, seed=seed, epochs=plan.epochs, progress=told, checkpoint=checkpoint
    )
    seconds = time.perf_counter() - began
    judged = split.validation or split.train
    examples = examples_in_turn(forecaster, judged)
    return Candidate(seed, forecaster, msle(forecaster.forecast(examples).increment, increments(judged)), seconds)


def _results(best: Candidate, candidates: Sequence[Candidate], split: Split) -> dict[str, Any]:
    scores = scores_on(best.forecaster, split.test) if split.test else {}
    return {
        **scores,
        "validation_msle": best.validation_msle,
        "train_cases": len(split.train),
        "validation_cases": len(split.validation),
        "test_cases": len(split.test),
        "fit_seconds": round(sum(candidate.fit_seconds for candidate in candidates), 2),
    }


def _seed_row(candidate: Candidate, split: Split) -> dict[str, Any]:
    row: dict[str, Any] = {"seed": candidate.seed, "validation_msle": round(candidate.validation_msle, 6)}
    if split.test:
        scores = scores_on(candidate.forecaster, split.test)
        row |= {"test_msle": round(scores["msle"], 6), "test_coverage": round(scores["coverage"], 6)}
    return {**row, "fit_seconds": round(candidate.fit_seconds, 2)}


def _compared(best: Candidate, plan: TrainingPlan, split: Split, files: Sequence[DataFile]) -> list[dict[str, Any]]:
    return compare_at_ages(
        best.forecaster,
        plan.model,
        split,
        plan.observe_seconds or fixed_ages(plan.horizon_seconds),
        plan.horizon_seconds,
        data=", ".join(file.name for file in files),
        any_age=plan.rolling and answers_any_age(plan.model),
        least=plan.min_events,
        seed=plan.seed,
    )


def _cost(forecaster: Forecaster, plan: TrainingPlan, split: Split) -> dict[str, Any]:
    some = (split.test or split.validation or split.train)[:COST_CASES]
    speed, of_hawkes = cascades_per_second(forecaster, some), cascades_per_second(new_forecaster("hawkes"), some)
    return {
        "parameters": parameters_of(forecaster),
        "cascades_per_second": round(speed, 1),
        "cascades_per_second_hawkes": round(of_hawkes, 1),
        "ratio_to_hawkes": round(speed / of_hawkes, 3),
        "batch": len(some),
        "device": _device(forecaster, plan),
    }


def _device(forecaster: Forecaster, plan: TrainingPlan) -> str:
    """Where it was trained; only what trains in epochs may leave the CPU."""
    if "epochs" not in inspect.signature(forecaster.fit).parameters:
        return "cpu"
    from forecasters.training_loop import chosen_device

    with _training_on(plan):
        return chosen_device().type
