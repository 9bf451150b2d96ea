"""One seed of an evaluation: train, then let every rule speak of the test posts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from forecasters.alerting.growth_curves import GrowthCurves, Ints
from forecasters.alerting.lead_times import (
    PRECISIONS,
    Operation,
    operate,
    threshold_of_alerts,
    threshold_of_precision,
)
from forecasters.alerting.levels import top_level
from forecasters.alerting.plan import RANKER, AlertPlan, is_ranker, parts
from forecasters.alerting.ranker import AlertRanker
from forecasters.alerting.sizes import expected_sizes
from forecasters.alerting.stored import load_ranker, must_answer
from forecasters.alerting.today import WINDOWS_SECONDS, best_window, counts, rates
from forecasters.alerting.walks import Walk, count_walk, half_ages, looks, rank_walk, rate_walk
from graph import Cascade

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Progress = Callable[[float, str], None]

COUNT, RATE, RANK = "count", "rate", "rank"
TODAY = (COUNT, RATE)
"""At one age, where the rank by the current count is the count."""
TODAY_WALKED = (COUNT, RATE, RANK)
Case = tuple[float, float]
"""An observation age (s) and a top share."""
Target = float | None
"""A precision, or None for as many alerts as there are posts in the top share."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What the rules said in one seed. ``windows`` are the rate's, by age (None: walked), share, target."""

    seed: int
    test: Ints
    levels: dict[float, int]
    tops: dict[float, Flags]
    halves: dict[float, Floats]
    scores: dict[tuple[str, float, float], Floats] = field(default_factory=dict)  # rule, age, share -> (n,)
    operations: dict[tuple[str, float, Target], Operation | None] = field(default_factory=dict)
    windows: dict[tuple[float | None, float, Target], float] = field(default_factory=dict)  # age, share, target
    rankers: dict[str, AlertRanker] = field(default_factory=dict)


def judge_today(curves: GrowthCurves, plan: AlertPlan, seed: int) -> Trial:
    """What today's rules say of the test part. Raises `DatasetError` for too few posts and for an empty top share."""
    train, test = parts(curves, plan, seed)
    finals = curves.finals()
    levels = {share: top_level(finals[test], share) for share in plan.shares}
    tops = {share: finals[test] >= level for share, level in levels.items()}
    halves = {share: half_ages(curves, test[top]) for share, top in tops.items()}
    trial = Trial(seed, test, levels, tops, halves)
    _today_at_ages(trial, curves, train, plan)
    _today_walked(trial, curves, train, finals[train], plan)
    return trial


def run_trial(
    curves: GrowthCurves,
    cascades: Mapping[str, Cascade],
    plan: AlertPlan,
    seed: int,
    progress: Progress | None = None,
    today: Trial | None = None,
) -> Trial:
    """Train on one part and score the other; the test part chooses nothing. Raises `DatasetError` for too few posts.

    ``today``: of today's rules, judged on the same parts, where that was done before.
    """
    tell = progress or (lambda share, text: None)
    tell(0.0, "today's rules, walked through time")
    known = today or judge_today(curves, plan, seed)
    trial = replace(known, seed=seed, scores=dict(known.scores), operations=dict(known.operations), rankers={})
    train, _ = parts(curves, plan, seed)
    for model in plan.rankers:
        tell(0.25, f"{model}, seed {seed}")
        _rank(trial, model, curves, train, plan, tell)
    for model in plan.models:
        if not is_ranker(model):
            tell(0.9, f"{model}, seed {seed}")
            _expect(trial, curves, cascades, train, model, plan)
    return trial


def _today_at_ages(trial: Trial, curves: GrowthCurves, train: Ints, plan: AlertPlan) -> None:
    for age in plan.observe_seconds:
        ages = np.full(len(trial.test), age)
        for share in plan.shares:
            window = trial.windows[age, share, None] = best_window(curves, train, age, share)
            trial.scores[COUNT, age, share] = counts(curves, trial.test, ages)
            trial.scores[RATE, age, share] = rates(curves, trial.test, ages, window)


def _today_walked(trial: Trial, curves: GrowthCurves, train: Ints, finals: Ints, plan: AlertPlan) -> None:
    """Count and rank as they are; the rate over the window whose median lead on the training part is longest."""
    _operate_all(trial, COUNT, count_walk(curves, trial.test), plan)
    _operate_all(trial, RANK, rank_walk(curves, trial.test), plan)
    training = {share: finals >= top_level(finals, share) for share in plan.shares}
    halves = {share: half_ages(curves, train[top]) for share, top in training.items()}
    windows = [window for window in WINDOWS_SECONDS if window < plan.horizon_seconds] or [plan.horizon_seconds]
    best: dict[tuple[float, Target], tuple[float, float]] = {}
    for window in windows:
        walk = rate_walk(curves, train, window)
        peaks = walk.peaks(train)
        for share, top in training.items():
            for target in (None, *PRECISIONS):
                found = _operation(walk, peaks, train, top, halves[share], plan.horizon_seconds, target)
                lead = -np.inf if found is None else found.median_lead_seconds
                best[share, target] = max(best.get((share, target), (-np.inf, 0.0)), (lead, window))
    for window in sorted({window for _, window in best.values()}):
        walk = rate_walk(curves, trial.test, window)
        peaks = walk.peaks(trial.test)
        for (share, target), (_, chosen) in best.items():
            if chosen == window:
                trial.windows[None, share, target] = window
                trial.operations[RATE, share, target] = _operation(
                    walk, peaks, trial.test, trial.tops[share], trial.halves[share], plan.horizon_seconds, target
                )


def _rank(trial: Trial, model: str, curves: GrowthCurves, train: Ints, plan: AlertPlan, tell: Progress) -> None:
    if plan.split == "all":
        ranker = load_ranker(model)
        must_answer(ranker, plan.horizon_seconds, plan.shares)
    else:
        ranker = AlertRanker(reads_stream=model == RANKER).fit(curves, train, plan.shares, seed=trial.seed)
    trial.rankers[model] = ranker
    audience = ranker.audience_of(curves)
    tell(0.6, f"{model}, seed {trial.seed}")
    for age in plan.observe_seconds:
        ages = np.full(len(trial.test), age)
        scores = ranker.scores(curves, trial.test, ages, audience=audience)
        for share in plan.shares:
            trial.scores[model, age, share] = ranker.chances_of(scores, ages, share)
    posts, ages = looks(curves, trial.test)
    scores = ranker.scores(curves, posts, ages, audience=audience)
    for share in plan.shares:
        walk = Walk(posts, ages, ranker.chances_of(scores, ages, share))
        _operate_all(trial, model, walk, plan, (share,))


def _expect(
    trial: Trial, curves: GrowthCurves, cascades: Mapping[str, Cascade], train: Ints, model: str, plan: AlertPlan
) -> None:
    training = [cascades[curves.ids[post]] for post in train]
    testing = [cascades[curves.ids[post]] for post in trial.test]
    found = expected_sizes(model, training, testing, plan, trial.seed)
    for age, sizes in found.items():
        for share in plan.shares:
            trial.scores[model, age, share] = sizes


def _operate_all(trial: Trial, rule: str, walk: Walk, plan: AlertPlan, shares: tuple[float, ...] | None = None) -> None:
    peaks = walk.peaks(trial.test)
    for share in shares or plan.shares:
        for target in (None, *PRECISIONS):
            trial.operations[rule, share, target] = _operation(
                walk, peaks, trial.test, trial.tops[share], trial.halves[share], plan.horizon_seconds, target
            )


def _operation(
    walk: Walk, peaks: Floats, posts: Ints, top: Flags, halves: Floats, horizon_seconds: float, target: Target
) -> Operation | None:
    """The rule at its best threshold for a target; None where it never reaches it."""
    if target is None:
        threshold = threshold_of_alerts(peaks, top, int(np.count_nonzero(top)))
    else:
        threshold = threshold_of_precision(peaks, top, target)
    return None if threshold is None else operate(walk, posts, top, halves, horizon_seconds, threshold)
