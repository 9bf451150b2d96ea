"""The benchmark: models trained by a protocol, or stored ones as they are, scored on cascades none of them has seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from forecasters.age_coverage import coverage_by_age
from forecasters.base import Forecaster
from forecasters.dataset import MIN_EVENTS
from forecasters.fit_steps import Step
from forecasters.fitting import fit_forecaster
from forecasters.folds import Fold, Protocol, held_out_fold, paper_fold, rolling_fold
from forecasters.model_lookup import load_forecaster
from forecasters.registry import BASELINES, SEEDLESS, answers_any_age, forecaster_class, parse_spec
from forecasters.registry import new_forecaster as untrained
from forecasters.runs import Calibration, Run, run_on
from forecasters.selection import EvaluationSplit
from forecasters.summary import rows_of
from graph import Cascade
from graph.errors import UserError

DEFAULT_REFERENCE: Final = "lightgbm"

Progress = Callable[[float, str], None]
"""Called with the share of the work that is done and with what is being worked at."""


@dataclass(frozen=True, slots=True)
class EvaluationPlan:
    """Which models are judged on which cuts. ``epochs`` reaches the models that train in epochs."""

    models: tuple[str, ...]
    observe_seconds: tuple[float, ...]
    horizon_seconds: float
    split: EvaluationSplit = "all"
    protocol: Protocol = "rolling"
    seeds: tuple[int, ...] = (0, 1, 2)
    split_seed: int | None = None
    """One random split for all seeds; None: each seed its own."""
    epochs: int | None = None
    min_events: int = MIN_EVENTS
    reference: str | None = None
    """The model that all others are compared with, pair by pair; None: LightGBM where it takes part."""
    curves: bool = False
    """Whether coverage is measured at all levels, which forecasts the calibration cases once more."""
    alone: bool = False
    """Whether each post is forecast as the first of its stream, not after those that were observed before it."""

    def chosen_reference(self) -> str | None:
        """The model to compare with; raises `UserError` for one that does not take part."""
        wanted = self.reference or DEFAULT_REFERENCE
        for model in self.models:
            if wanted in (model, model.partition("@")[0]):
                return model
        if self.reference is None:
            return None
        raise UserError(f"--reference {wanted} is not among the models: {', '.join(self.models)}")

    def check_training(self, given: bool) -> None:
        """Raises `UserError` where further cascades to train on were ``given`` that nothing would be trained on."""
        if given and self.split != "all" and self.protocol == "paper":
            raise UserError("--train does not go with --protocol paper, where all are fitted to one file; leave it out")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Rows for tables, and the single forecasts they were made from."""

    rows: list[dict[str, Any]]
    runs: list[Run]


def evaluate(
    cascades: Sequence[Cascade],
    plan: EvaluationPlan,
    *,
    data: str,
    training: Sequence[Cascade] = (),
    progress: Progress | None = None,
) -> Evaluation:
    """A row for each observation time and model, in that order. The test part is only ever forecast.

    ``training`` are further cascades, none of them among ``cascades``: for what has to be fitted beside stored models,
    or for models of any age to be trained on beside the training part. A metric of a row is its mean over the seeds and
    ``<metric>_std`` its standard deviation over them (0 for one seed; None where it is undefined). Raises
    `DatasetError` when a cut leaves too few cases, and `UserError` for ``training`` with the papers' protocol.
    """
    reference = plan.chosen_reference()
    plan.check_training(bool(training))
    runs: list[Run] = []
    work = [
        (seed, model)
        for place, seed in enumerate(plan.seeds)
        for model in plan.models
        if not place or not _stored(model, plan, training)
    ]
    fold, fold_seed = Fold({}), None
    fitted: dict[str, Forecaster] = {}
    for done, (seed, model) in enumerate(work):
        if not done or seed != work[done - 1][0]:
            fitted = {}
        if fold_seed != _fold_seed(plan, seed):
            fold_seed = _fold_seed(plan, seed)
            fold = _fold(cascades, plan, training, fold_seed)
            known: dict[str, list[Run]] = {}
        watch = _watch(progress, done, len(work), model, seed)
        if model not in known:
            stored = _stored(model, plan, training)
            known[model] = list(_runs(model, fold, plan, seed, fitted, stored=stored, progress=watch))
            runs += known[model]
        elif parse_spec(model)[0] in SEEDLESS:
            runs += [replace(run, seed=seed) for run in known[model]]
        else:
            runs += _runs(model, fold, plan, seed, fitted, stored=False, progress=watch)
    runs.sort(key=lambda run: (plan.observe_seconds.index(run.observe_seconds), plan.models.index(run.model)))
    shared = {"protocol": plan.protocol, "min_events": plan.min_events, "split_seed": plan.split_seed,
              "alone": plan.alone}  # fmt: skip
    return Evaluation(rows_of(runs, data=data, split=plan.split, reference=reference, shared=shared), runs)


def _watch(progress: Progress | None, done: int, of: int, model: str, seed: int) -> Callable[[Any], None] | None:
    """Reports the start of a piece of work and returns what reports its steps and epochs."""
    if progress is None:
        return None
    progress(done / of, f"{model}, seed {seed}")

    def told(at: Any) -> None:
        if isinstance(at, Step):
            progress(done / of, f"{model}, seed {seed}, {at.what}, {100 * at.done // at.of} %")
            return
        text = f"{model}, seed {seed}, epoch {at.number} of {at.of}, validation MSLE {at.validation_msle:.3f}"
        progress((done + at.number / at.of) / of, text)

    return told


def _stored(model: str, plan: EvaluationPlan, training: Sequence[Cascade]) -> bool:
    """Whether ``model`` is used as it lies in the store."""
    if plan.split != "all":
        return False
    name, variant = parse_spec(model.partition("@")[0])
    if not training or "@" in model:
        return True
    return variant is None and not (name in BASELINES and forecaster_class(name).needs_training)


def _fold_seed(plan: EvaluationPlan, seed: int) -> int:
    """Which seed splits and cuts: by root time there is one split anyway, so one serves all seeds there."""
    if plan.split_seed is not None:
        return plan.split_seed
    return 0 if plan.split == "time" else seed


def _fold(cascades: Sequence[Cascade], plan: EvaluationPlan, training: Sequence[Cascade], seed: int) -> Fold:
    ages, horizon, least = plan.observe_seconds, plan.horizon_seconds, plan.min_events
    if plan.split == "all":
        return held_out_fold(cascades, training, ages, horizon, seed=seed, least=least)
    if plan.protocol == "rolling":
        return rolling_fold(cascades, ages, horizon, plan.split, seed=seed, least=least, beside=training)
    return paper_fold(cascades, ages, horizon, plan.split, seed=seed, least=least)


def _runs(
    model: str,
    fold: Fold,
    plan: EvaluationPlan,
    seed: int,
    fitted: dict[str, Forecaster],
    *,
    stored: bool,
    progress: Callable[[Any], None] | None,
) -> Iterator[Run]:
    """The runs of one model and seed, one for each observation age; what was fitted for all ages joins ``fitted``."""
    if stored:
        yield from runs_at_any_age(load_forecaster(model), fold, plan, model=model, seed=None)
    elif fold.rolling is not None and answers_any_age(model):
        forecaster = fit_forecaster(
            untrained(model), fold.rolling, seed=seed, epochs=plan.epochs, progress=progress, fitted=fitted
        )
        fitted[model] = forecaster
        yield from runs_at_any_age(forecaster, fold, plan, model=model, seed=seed)
    else:
        for age, split in fold.at.items():
            forecaster = fit_forecaster(untrained(model), split, seed=seed, epochs=plan.epochs, progress=progress)
            calibration = Calibration.of(forecaster, split.validation) if plan.curves else None
            yield run_on(forecaster, split.test, model=model, observe_seconds=age, seed=seed, calibration=calibration)


def runs_at_any_age(
    forecaster: Forecaster, fold: Fold, plan: EvaluationPlan, *, model: str, seed: int | None
) -> Iterator[Run]:
    """The runs of a forecaster that is ready for any age, with its coverage at random ones."""
    by_age = coverage_by_age(forecaster, fold.tested, plan.horizon_seconds, least=plan.min_events, alone=plan.alone)
    calibration = None
    if plan.curves and fold.calibrating:
        calibration = Calibration.of(forecaster, fold.calibrating)
    for age, split in fold.at.items():
        yield run_on(
            forecaster,
            split.test,
            model=model,
            observe_seconds=age,
            seed=seed,
            calibration=calibration,
            by_age=by_age,
            alone=plan.alone,
        )
