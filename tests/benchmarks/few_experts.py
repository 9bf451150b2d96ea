"""What a blend loses, or gains, by asking few of its experts: in folds over posts that none of them knows.

    python -m tests.benchmarks.few_experts posts.jsonl ... [--repeats 3]

The experts are those of the shipped blend. In each fold the weights are found from the posts of the other folds, once
by all experts and once by as few as the error allows, and judged on its own posts. An expert that was trained on a post
flatters itself there: give files that are new.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forecasters.blend import BlendForecaster, BlendPrior
from forecasters.blend.experts import starting_shares
from forecasters.blend.judging import Judged as JudgedCases
from forecasters.bootstrap import interval, resampled_means
from forecasters.dataset import rolling_cases
from forecasters.model_lookup import load_forecaster
from streams.cli.cascade_files import load_cascades

Floats = NDArray[np.float64]

HORIZON_SECONDS: Final = 86_400.0
FOLDS: Final = 5


@dataclass
class Judged:
    """Squared errors (n,) of both kinds of weights, and who was asked in how many folds."""

    every: Floats
    few: Floats
    asked: Counter[str] = field(default_factory=Counter)


def judge(blend: BlendForecaster, logs: Floats, truth: Floats, age: Floats, cascade: NDArray[np.int64]) -> Judged:
    """In `FOLDS` folds of the cascades, numbered (n,)."""
    errors, judged = truth[:, None] - logs, Judged(np.empty(len(truth)), np.empty(len(truth)))
    for fold in range(FOLDS):
        held = cascade % FOLDS == fold
        prior = BlendPrior.fit(
            errors[~held], age[~held], posts=len(set(cascade[~held])), start=starting_shares(blend.experts)
        )
        few, every = prior.weights(), prior.steady()
        judged.few[held] = (few.growth(logs[held], age[held]) - truth[held]) ** 2
        judged.every[held] = (every.growth(logs[held], age[held]) - truth[held]) ** 2
        judged.asked.update(blend.experts[e].forecaster.name for e in np.flatnonzero(few.weights.any(axis=0)))
    return judged


def rows(paths: Sequence[Path], repeats: int) -> list[dict[str, Any]]:
    """The ratio of both errors in all posts and in those of each file, by repeats with other folds."""
    blend = load_forecaster("blend")
    assert isinstance(blend, BlendForecaster)
    logs, truth, age, ids, files = [], [], [], [], []
    for path in paths:
        cases = rolling_cases(load_cascades([path]), HORIZON_SECONDS)
        said = JudgedCases.of(blend, cases)
        logs.append(said.logs)
        age.append(said.age_seconds)
        truth.append(np.log2(1.0 + said.truth))
        ids += [f"{path.name}:{case.graph.id}" for case in cases]
        files += [path.name] * len(cases)
    number = {cascade: n for n, cascade in enumerate(sorted(set(ids)))}
    found = []
    for repeat in range(repeats):
        order = np.random.default_rng(repeat).permutation(len(number))
        cascade = np.array([order[number[one]] for one in ids])
        judged = judge(blend, np.concatenate(logs), np.concatenate(truth), np.concatenate(age), cascade)
        print(json.dumps({"repeat": repeat, "asked_in_folds": dict(judged.asked)}), flush=True)
        for name in [None, *dict.fromkeys(files)]:
            of = np.array([name is None or file == name for file in files])
            found.append({"repeat": repeat, "file": name or "all", **ratio(judged, of, cascade)})
    return found


def ratio(judged: Judged, of: NDArray[np.bool_], cascade: NDArray[np.int64]) -> dict[str, float]:
    """Of the error by few experts to that by all, with its interval over cascades."""
    _, place = np.unique(cascade[of], return_inverse=True)
    sums = np.stack([np.bincount(place, judged.few[of]), np.bincount(place, judged.every[of])])
    means = resampled_means(sums, np.stack([np.bincount(place)] * 2).astype(np.float64))
    low, high = interval(means[:, 0] / means[:, 1])
    return {"few_to_all": round(float(sums[0].sum() / sums[1].sum()), 4), "low": round(low, 4), "high": round(high, 4)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="+", help="event files with whole cascades")
    parser.add_argument("--repeats", type=int, default=3, help="each with other folds")
    arguments = parser.parse_args()
    for row in rows(arguments.files, arguments.repeats):
        print(json.dumps(row))


if __name__ == "__main__":
    main()
