"""How well a ranker ranks later posts, in folds by time within the part it may be chosen on.

    python -m tests.benchmarks.ranker_folds posts.jsonl --keep before.safetensors
    python -m tests.benchmarks.ranker_folds posts.jsonl --beside before.safetensors

The later 30 % of the posts, on which `cascadecast evaluate alerts` judges, are never looked at: whoever changes the
ranker decides here, and judges there once. The second command says whether a change is more than chance.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from forecasters.alerting import AlertRanker, GrowthCurves
from forecasters.alerting.figures import average_precision, resampled, weighted_average_precision
from forecasters.alerting.levels import reaches_top
from forecasters.alerting.plan import TRAINING_SHARE
from forecasters.alerting.today import best_window, counts, rates
from forecasters.bootstrap import interval
from graph import Cascade
from streams.cli.cascade_files import load_cascades

Floats = NDArray[np.float64]

HORIZON_SECONDS: Final = 86_400.0
AGES_SECONDS: Final = (1800.0, 3600.0)
SHARES: Final = (0.05, 0.1)
FOLDS: Final = ((0.4, 0.55), (0.55, 0.7), (0.7, 0.85), (0.85, 1.0))
"""What is before the first number trains, what is between both is judged: each post is judged once."""
RESAMPLES: Final = 200


@dataclass(frozen=True)
class Case:
    """The posts of one fold at one age, judged by one top share."""

    name: str
    scores: Floats  # (n,)
    top: NDArray[np.bool_]  # (n,)
    today: float  # average precision of the better of count and rate

    @property
    def ratio(self) -> float:
        """Of the average precision to that of today's rules."""
        return average_precision(self.scores, self.top) / self.today


def cases_of(cascades: Sequence[Cascade], *, reads_stream: bool, seed: int, data: str) -> list[Case]:
    """A ranker trained and judged in each fold, at each age and by each share."""
    ordered = sorted(cascades, key=lambda cascade: (cascade.root_time, cascade.id))
    curves = GrowthCurves.of(ordered[: round(TRAINING_SHARE * len(ordered))], HORIZON_SECONDS)
    found = []
    for fold, (begin, end) in enumerate(FOLDS):
        train = np.arange(round(begin * len(curves)))
        test = np.arange(len(train), round(end * len(curves)))
        ranker = AlertRanker(reads_stream=reads_stream).fit(curves, train, SHARES, seed=seed)
        for age in AGES_SECONDS:
            ages = np.full(len(test), age)
            scores = ranker.scores(curves, test, ages)
            for share in SHARES:
                top = reaches_top(curves.finals()[test], share)
                window = best_window(curves, train, age, share)
                rules = (counts(curves, test, ages), rates(curves, test, ages, window))
                name = f"{data}/{fold}/{age:g}/{share:g}"
                found.append(Case(name, scores, top, max(average_precision(rule, top) for rule in rules)))
    return found


def change(cases: Sequence[Case], before: Mapping[str, Floats]) -> tuple[float, float, float]:
    """The mean change of the logarithm of the average precision against ``before``, scores by case, and its interval.

    Samples draw posts, the same for both. Raises `KeyError` for a case that was not scored before.
    """
    gains, drawn = [], np.zeros(RESAMPLES)
    for case in cases:
        old = before[case.name]
        gains.append(np.log(average_precision(case.scores, case.top) / average_precision(old, case.top)))
        for i, weights in enumerate(resampled(len(old), resamples=RESAMPLES)):
            new, other = (weighted_average_precision(scores, case.top, weights) for scores in (case.scores, old))
            part = slice(i * len(weights), (i + 1) * len(weights))
            drawn[part] += np.nan_to_num(np.log(new / other)) / len(cases)  # a sample may lack posts of the top
    return (float(np.mean(gains)), *interval(drawn))


def main() -> None:
    """Print the mean ratio, the change against an earlier run, and the ratio of each case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--stream", action="store_true", help="the ranker that reads the stream, not a post alone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="write the scores there")
    parser.add_argument("--beside", type=Path, help="scores of an earlier run, written by --keep")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    asked = parser.parse_args()
    cases = [
        case
        for file in asked.files
        for case in cases_of(
            load_cascades([file], None), reads_stream=asked.stream, seed=asked.seed, data=file.name.partition(".")[0]
        )
    ]
    if asked.keep:
        save_file({case.name: case.scores for case in cases}, asked.keep)
    result: dict[str, object] = {"ratio": float(np.mean([case.ratio for case in cases]))}
    if asked.beside:
        keys = ("log_change", "log_change_low", "log_change_high")
        result |= dict(zip(keys, change(cases, load_file(asked.beside)), strict=True))
    result["cases"] = {case.name: case.ratio for case in cases}
    print(json.dumps(result) if asked.json else "\n".join(f"{key}: {value}" for key, value in result.items()))


if __name__ == "__main__":
    main()
