"""Alert quality, forecasts against what people use today: rows of figures from trials."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forecasters.alerting.figures import average_precision, precision_at, resampled, weighted_average_precision
from forecasters.alerting.growth_curves import GrowthCurves
from forecasters.alerting.lead_times import PRECISIONS
from forecasters.alerting.plan import AlertPlan
from forecasters.alerting.trial import RATE, TODAY, TODAY_WALKED, Progress, Target, Trial, judge_today, run_trial
from forecasters.bootstrap import interval
from graph import Cascade

Floats = NDArray[np.float64]

LEAD_RESAMPLES: Final = 500
LAYING_OUT: Final = 0.05
"""The share of the work, as progress shows it, before the first seed."""


@dataclass(frozen=True, slots=True)
class AlertEvaluation:
    """Rows for tables, and the trials they were made from."""

    rows: list[dict[str, Any]]
    trials: list[Trial]
    curves: GrowthCurves


def evaluate_alerts(
    cascades: Sequence[Cascade], plan: AlertPlan, *, data: str, progress: Progress | None = None
) -> AlertEvaluation:
    """Judge every rule of ``plan`` on the test part of ``cascades``, all sizes of them.

    Rows of the protocol "age" say how well a rule ranks posts of one age; rows of "stream", how early it alerts in a
    walk through each post's life. A figure is its mean over the seeds; intervals are of 95 %, by bootstrap over the
    test posts. Raises `DatasetError` for too few posts, an empty top share, or events that end before the horizon.
    """
    tell = progress or (lambda share, text: None)

    def laid_out(share: float) -> None:
        tell(LAYING_OUT * share, "laying out the posts")

    curves = GrowthCurves.of(cascades, plan.horizon_seconds, progress=laid_out)
    by_id = {cascade.id: cascade for cascade in cascades}
    # Without chance in the split or in a model one seed says it all.
    seeds = plan.seeds if plan.split == "random" or (plan.split == "time" and plan.models) else plan.seeds[:1]
    trials = _trials(curves, by_id, plan, seeds, tell)
    about = {"data": data, "split": plan.split, "horizon_seconds": plan.horizon_seconds, "seeds": list(seeds)}
    rules = (*TODAY, *plan.models)
    rows = [
        {**row, **about}
        for age in plan.observe_seconds
        for share in plan.shares
        for row in _age_rows(trials, rules, age, share, plan.horizon_seconds)
    ]
    walked = (*TODAY_WALKED, *plan.rankers)
    rows += [
        {**row, **about}
        for share in plan.shares
        for target in (None, *PRECISIONS)
        for row in _stream_rows(trials, walked, share, target, plan.horizon_seconds)
    ]
    return AlertEvaluation(rows, trials, curves)


def _trials(
    curves: GrowthCurves, cascades: Mapping[str, Cascade], plan: AlertPlan, seeds: Sequence[int], tell: Progress
) -> list[Trial]:
    """A trial of each seed, on as many cores as there are; the same whatever their number."""
    today = judge_today(curves, plan, seeds[0]) if plan.split != "random" else None  # else each has parts of its own
    done = dict.fromkeys(seeds, 0.0)

    def trial_of(seed: int) -> Trial:
        def told(share: float, text: str) -> None:
            done[seed] = share
            tell(LAYING_OUT + (1.0 - LAYING_OUT) * sum(done.values()) / len(done), text)

        return run_trial(curves, cascades, plan, seed, told, today)

    # Rankers train in LightGBM and numpy, which let other threads run; forecasters draw from torch's one generator.
    alone = plan.models != plan.rankers
    with ThreadPoolExecutor(1 if alone else min(len(seeds), os.cpu_count() or 1)) as pool:
        return list(pool.map(trial_of, seeds))


def _age_rows(
    trials: Sequence[Trial], rules: Sequence[str], age: float, share: float, horizon_seconds: float
) -> list[dict[str, Any]]:
    """A row for each rule at one age; its ratio is to the rule of today with the higher average precision here."""
    found = {
        rule: np.mean([average_precision(trial.scores[rule, age, share], trial.tops[share]) for trial in trials])
        for rule in rules
    }
    drawn = _resampled_precisions(trials, rules, age, share)
    better = max(TODAY, key=lambda rule: found[rule])
    rows = []
    for rule in rules:
        exact = [
            precision_at(trial.scores[rule, age, share], trial.tops[share], int(trial.tops[share].sum()))
            for trial in trials
        ]
        leads = [_lead_at(trial, rule, age, share, horizon_seconds) for trial in trials]
        ratio = drawn[rule] / np.maximum(drawn[better], 1e-12)
        rows.append(
            _row(
                trials,
                rule=rule,
                protocol="age",
                share=share,
                observe_seconds=age,
                average_precision=(float(found[rule]), *interval(drawn[rule])),
                alerts=_mean([int(trial.tops[share].sum()) for trial in trials]),
                precision=float(np.mean(exact)),
                recall=float(np.mean(exact)),
                lead=(float(np.mean(leads)), None, None),
                ratio=(float(found[rule] / found[better]), *interval(ratio)),
                window=_window(trials, rule, age, share, None),
            )
        )
    return rows


def _resampled_precisions(trials: Sequence[Trial], rules: Sequence[str], age: float, share: float) -> dict[str, Floats]:
    """Average precisions of each rule over resampled test posts, (R,), means over the seeds; a sample without a post of
    the top is left out. All rules have drawn the same."""
    sums: dict[str, Floats] = {}
    for trial in trials:
        weights, top = resampled(len(trial.test)), trial.tops[share]
        for rule in rules:
            scores = trial.scores[rule, age, share]
            drawn = np.concatenate([weighted_average_precision(scores, top, some) for some in weights])
            sums[rule] = sums.get(rule, 0.0) + drawn / len(trials)
    return {rule: drawn[np.isfinite(drawn)] for rule, drawn in sums.items()}


def _lead_at(trial: Trial, rule: str, age: float, share: float, horizon_seconds: float) -> float:
    """The median lead of alerting at one age for as many posts as there are in the top; ties in the posts' order."""
    scores, top = trial.scores[rule, age, share], trial.tops[share]
    alerted = np.zeros(len(top), dtype=bool)
    alerted[np.argsort(-scores, kind="stable")[: int(top.sum())]] = True
    return float(np.median(trial.halves[share] - np.where(alerted[top], age, horizon_seconds)))


def _stream_rows(
    trials: Sequence[Trial], rules: Sequence[str], share: float, target: Target, horizon_seconds: float
) -> list[dict[str, Any]]:
    """A row for each rule at one target; its ratio is to the longer of today's median leads."""
    drawn = {rule: _resampled_leads(trials, rule, share, target) for rule in rules}
    medians = {rule: _mean_of(trials, rule, share, target, "median_lead_seconds") for rule in rules}
    better = max(TODAY_WALKED, key=lambda rule: _or_never(medians[rule]))
    rows = []
    for rule in rules:
        lead, theirs = medians[rule], medians[better]
        ratio: tuple[float | None, float | None, float | None] = (None, None, None)
        if lead is not None and theirs is not None and theirs > 0:
            ratio = (lead / theirs, *_positive_ratios(drawn[rule], drawn[better]))
        rows.append(
            _row(
                trials,
                rule=rule,
                protocol="stream",
                share=share,
                target=target,
                alerts=_mean_of(trials, rule, share, target, "alerts"),
                precision=_mean_of(trials, rule, share, target, "precision"),
                recall=_mean_of(trials, rule, share, target, "recall"),
                lead=(lead, *(interval(drawn[rule]) if len(drawn[rule]) else (None, None))),
                ratio=ratio,
                window=_window(trials, rule, None, share, target),
            )
        )
    return rows


def _resampled_leads(trials: Sequence[Trial], rule: str, share: float, target: Target) -> Floats:
    """Median leads over resampled top posts, (R,), the mean over the seeds; empty where the target is not reached."""
    found = []
    for trial in trials:
        operation = trial.operations[rule, share, target]
        if operation is None:
            return np.zeros(0)
        n = len(operation.leads)
        drawn = np.random.default_rng(0).integers(0, n, size=(LEAD_RESAMPLES, n))
        found.append(np.median(operation.leads[drawn], axis=1))
    return np.asarray(np.mean(found, axis=0))


def _positive_ratios(ours: Floats, theirs: Floats) -> tuple[float | None, float | None]:
    """The interval of the ratio, (None, None) where the reference's lead is not surely above 0."""
    if not len(ours) or theirs.min() <= 0:
        return None, None
    return interval(ours / theirs)


def _row(
    trials: Sequence[Trial],
    *,
    rule: str,
    protocol: str,
    share: float,
    alerts: float | None,
    precision: float | None,
    recall: float | None,
    lead: tuple[float | None, float | None, float | None],
    ratio: tuple[float | None, float | None, float | None],
    window: float | None,
    observe_seconds: float | None = None,
    target: Target = None,
    average_precision: tuple[float | None, float | None, float | None] = (None, None, None),
) -> dict[str, Any]:
    """The keys of a row, all of them in every row, None where a protocol has no such figure."""
    return {
        "protocol": protocol,
        "rule": rule,
        "top_share": share,
        "observe_seconds": observe_seconds,
        "target_precision": target,
        "n": len(trials[0].test),
        "positives": _mean([int(trial.tops[share].sum()) for trial in trials]),
        "level_size": _mean([trial.levels[share] for trial in trials]),
        "alerts": alerts,
        **_triple("average_precision", average_precision),
        "precision": _number(precision),
        "recall": _number(recall),
        **_triple("median_lead_seconds", lead),
        **_triple("ratio", ratio),
        "window_seconds": window,
    }


def _triple(name: str, values: tuple[float | None, float | None, float | None]) -> dict[str, float | None]:
    return {f"{name}{end}": _number(value) for end, value in zip(("", "_low", "_high"), values, strict=True)}


def _number(value: float | None) -> float | None:
    """As JSON can hold it."""
    return None if value is None or not np.isfinite(value) else float(value)


def _or_never(lead: float | None) -> float:
    return -np.inf if lead is None else lead


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _mean_of(trials: Sequence[Trial], rule: str, share: float, target: Target, name: str) -> float | None:
    """The mean of a figure over the seeds; None where one of them did not reach the target."""
    operations = [trial.operations[rule, share, target] for trial in trials]
    values = [getattr(operation, name) for operation in operations if operation is not None]
    return _mean(values) if len(values) == len(operations) else None


def _window(trials: Sequence[Trial], rule: str, age: float | None, share: float, target: Target) -> float | None:
    """The window (s) of the rate, of the first seed; None of other rules."""
    return trials[0].windows[age, share, target] if rule == RATE else None
