"""What alerts of a trial are worth beside an alert at a count of reposts.

    cascadecast alerts test rules.toml posts.jsonl --json > trial.json
    python -m tests.benchmarks.alerts_beside_counts trial.json posts.jsonl

Two counts stand beside the rules: the one that alerts for as many posts, and the least one that is right as often.
Right is an alert on a post of the top share; the lead is that from the alert to half of the post's final size.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from forecasters.alerting.growth_curves import GrowthCurves
from forecasters.alerting.levels import top_level
from forecasters.alerting.walks import count_walk, half_ages
from streams.cli.cascade_files import load_cascades

HORIZON_SECONDS = 86_400.0


@dataclass(frozen=True)
class Posts:
    """The judged posts: which are in the top, when each had half of its size, when it reached each count."""

    names: dict[str, int]
    top: NDArray[np.bool_]
    halves: NDArray[np.float64]
    curves: GrowthCurves
    judged: NDArray[np.bool_]

    def row(self, name: str, posts: NDArray[np.int64], ages: NDArray[np.float64]) -> str:
        """One line of the table."""
        lead, right = np.median(self.halves[posts] - ages) / 60.0, 100.0 * self.top[posts].mean()
        return f"| {name} | {len(posts)} | {right:.0f} % | {np.median(ages) / 60.0:.0f} | {lead:.0f} |"


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trial", type=Path)
    parser.add_argument("file", type=Path)
    parser.add_argument("--top", type=float, default=0.05, help="share of all posts that is worth an alert")
    parser.add_argument("--without-first", type=int, default=0, help="leave out posts that a model was trained on")
    asked = parser.parse_args()
    cascades = load_cascades([asked.file], None)
    curves = GrowthCurves.of(cascades, HORIZON_SECONDS)
    finals = curves.finals()
    halves = np.full(len(curves), np.nan)
    halves[finals > 0] = half_ages(curves, np.flatnonzero(finals > 0))
    left_out = {cascade.id for cascade in cascades[: asked.without_first]}
    judged = np.array([name not in left_out for name in curves.ids])
    names = {name: place for place, name in enumerate(curves.ids)}
    posts = Posts(names, finals >= top_level(finals, asked.top), halves, curves, judged)
    print("| alerts | posts | in the top | median age (min) | median lead (min) |\n|---|---|---|---|---|")
    for line in table(posts, json.loads(asked.trial.read_text())["results"][0]["opened"]):
        print(line)


def table(posts: Posts, opened: list[dict[str, object]]) -> list[str]:
    """The rules together, each of them, and the two counts that stand beside all of them."""
    first: dict[int, float] = {}
    by_rule: dict[str, dict[int, float]] = {}
    for alert in sorted(opened, key=lambda one: float(str(one["opened_as_of"]))):
        place, age = posts.names[str(alert["cascade"])], float(str(alert["age_seconds"]))
        if posts.judged[place]:
            first.setdefault(place, age)
            by_rule.setdefault(str(alert["rule"]), {}).setdefault(place, age)
    lines = [
        posts.row(name, np.array(list(found)), np.array(list(found.values())))
        for name, found in {"all rules": first, **by_rule}.items()
    ]
    everything = np.arange(len(posts.top))
    walk = count_walk(posts.curves, everything)
    peaks = np.where(posts.judged, walk.peaks(everything), -np.inf)
    counts = np.unique(peaks[np.isfinite(peaks)])
    as_many = min(counts, key=lambda count: abs(int((peaks >= count).sum()) - len(first)))
    precision = posts.top[np.array(list(first))].mean()
    as_right = next(count for count in counts if posts.top[peaks >= count].mean() >= precision)
    for count in (as_many, as_right):
        ages = walk.alert_ages(everything, float(count))
        alerted = np.flatnonzero(np.isfinite(ages) & posts.judged)
        lines.append(posts.row(f"count of {count:.0f}", alerted, ages[alerted]))
    return lines


if __name__ == "__main__":
    main()
