"""A trained model beside all baselines at fixed ages, on cascades that none of them has seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from forecasters.age_coverage import coverage_by_age
from forecasters.base import Forecaster
from forecasters.dataset import MIN_EVENTS, Split
from forecasters.evaluation import DEFAULT_REFERENCE
from forecasters.fitting import fit_forecaster
from forecasters.folds import cascades_of, cut_again
from forecasters.registry import BASELINES, missing_extra, new_forecaster
from forecasters.runs import AgeCoverage, run_on
from forecasters.summary import rows_of
from graph.durations import format_duration

FIXED_AGES_SECONDS: Final = (600.0, 1800.0, 3600.0, 10_800.0, 21_600.0, 43_200.0, 86_400.0, 172_800.0)
"""10 minutes to 12 hours, the observation times of the field's tables among them; 1 and 2 days for long horizons."""

YOUNGEST_SHARE: Final = 1e-3
OLDEST_SHARE: Final = 0.5
"""Ages between a thousandth and half of the horizon are compared at: 10 minutes of 32 days tell nothing of them."""

_METRICS: Final = ("msle", "mape", "male", "pcc", "r2", "coverage")
ROW_KEYS: Final = frozenset(
    {"model", "data", "split", "observe_seconds", "n", "level", "reference", "msle_ratio", "msle_difference", *_METRICS}
)
"""What a row needs for a table here."""


def fixed_ages(horizon_seconds: float) -> tuple[float, ...]:
    """The ages at which a model for any age is compared."""
    return tuple(a for a in FIXED_AGES_SECONDS if YOUNGEST_SHARE <= a / horizon_seconds <= OLDEST_SHARE)


def compare_at_ages(
    forecaster: Forecaster,
    name: str,
    split: Split,
    ages: Sequence[float],
    horizon_seconds: float,
    *,
    data: str,
    any_age: bool,
    least: int = MIN_EVENTS,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Rows as of an evaluation for ``forecaster`` (called ``name``) as it is and for baselines fitted at each age.

    ``split`` are the cases ``forecaster`` was trained by: its cascades, cut at the ages, are the parts here. An age
    with an empty training or test part is left out. ``any_age`` also measures its intervals at random ages.
    """
    baselines = [baseline for baseline in BASELINES if missing_extra(baseline) is None and baseline != name]
    by_age: tuple[AgeCoverage, ...] = ()
    if any_age:
        by_age = coverage_by_age(forecaster, cascades_of(split.test), horizon_seconds, least=least, seed=seed)
    runs = []
    for age in ages:
        fixed = cut_again(split, age, horizon_seconds, least)
        if not (fixed.train and fixed.test):
            continue
        for baseline in baselines:
            fitted = fit_forecaster(new_forecaster(baseline), fixed, seed=seed)
            runs.append(run_on(fitted, fixed.test, model=baseline, observe_seconds=age, seed=seed))
        runs.append(run_on(forecaster, fixed.test, model=name, observe_seconds=age, seed=seed, by_age=by_age))
    reference = DEFAULT_REFERENCE if DEFAULT_REFERENCE in baselines or name == DEFAULT_REFERENCE else None
    return rows_of(runs, data=data, split="test", reference=reference, shared={"min_events": least})


def comparison_table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a Markdown table; the last two columns are the paired comparison with the reference."""
    columns = ("observed", "model", "cascades", *_METRICS, "MSLE to reference's", "difference (95 %)")
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    for row in rows:
        values = ("-" if row[metric] is None else f"{row[metric]:.3f}" for metric in _METRICS)
        age = format_duration(row["observe_seconds"])
        lines.append(f"| {age} | {row['model']} | {row['n']} | {' | '.join(values)} | {_paired(row)} |")
    return "\n".join(lines) + "\n"


def _paired(row: dict[str, Any]) -> str:
    ratio, difference = row["msle_ratio"], row["msle_difference"]
    if ratio is None or difference is None or row["model"] == row["reference"]:
        return "- | -"
    low, high = row["msle_difference_low"], row["msle_difference_high"]
    return f"{ratio:.3f} | {difference:+.3f} ({low:+.3f} to {high:+.3f})"


def coverage_table(rows: Sequence[dict[str, Any]]) -> str:
    """The coverage by age of the first row that has one, as a Markdown table; empty without."""
    buckets = next((row["coverage_by_age"] for row in rows if row.get("coverage_by_age")), None)
    if buckets is None:
        return ""
    lines = ["| age | cascades | coverage |", "|---|---|---|"]
    for bucket in buckets:
        ages = f"{format_duration(bucket['from_seconds'])} to {format_duration(bucket['to_seconds'])}"
        lines.append(f"| {ages} | {bucket['n']} | {bucket['coverage']:.3f} |")
    return "\n".join(lines) + "\n"
