"""Alert quality as a picture: precision against recall, leads, and the lives of some posts with each rule's alert.

Drawn by matplotlib, the extra ``plot``, from the first seed. The same evaluation gives the same file to the byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from forecasters.alerting.evaluation import AlertEvaluation
from forecasters.alerting.lead_times import PRECISIONS, Operation
from forecasters.alerting.trial import RANK, Target, Trial
from forecasters.plots import write_figure
from graph.durations import format_duration

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

EXAMPLES: Final = 4
STYLES: Final = ("-", "--", "-.", ":")
"""A second way to tell rules apart, for who does not see colours or prints without them."""


def write_alert_plot(path: Path, found: AlertEvaluation) -> None:
    """Draw into ``path``; see `forecasters.plots.check_plot`."""
    write_figure(path, lambda: drawn(found))


def drawn(found: AlertEvaluation) -> Figure:
    """Two panels over all posts of the test part, and one for each of some posts of the top share."""
    from matplotlib.figure import Figure

    trial = found.trials[0]
    share = sorted(trial.tops)[len(trial.tops) // 2]
    age = max(age for _, age, _ in trial.scores)
    target = _shown_target(trial, share)
    figure = Figure(figsize=(13.0, 8.0), layout="constrained")
    lives = [f"life {i}" for i in range(EXAMPLES)]
    panels: dict[str, Axes] = figure.subplot_mosaic([["precision", "precision", "leads", "leads"], lives])
    scored = list(dict.fromkeys(rule for rule, _, _ in trial.scores))
    rules = list(dict.fromkeys([*scored, *(rule for rule, _, _ in trial.operations)]))
    looks = {rule: {"color": f"C{i % 10}", "linestyle": STYLES[i % len(STYLES)]} for i, rule in enumerate(rules)}
    _precision_recall(panels["precision"], trial, scored, age, share, looks)
    walked = {
        rule: operation for rule in rules if (operation := trial.operations.get((rule, share, target))) is not None
    }
    _leads(panels["leads"], walked, looks)
    for life, place in zip(lives, _examples(found, share), strict=False):
        _life(panels[life], found, trial, place, walked, looks)
    row = found.rows[0]
    asked = "as many alerts as posts in the top" if target is None else f"precision {target:g} asked of every rule"
    figure.suptitle(f"{row['data']}, {row['split']} split, top {100 * share:g} %; {asked}")
    return figure


def _shown_target(trial: Trial, share: float) -> Target:
    """The highest precision that every rule reaches, but for the rank, which seldom reaches any."""
    rules = {rule for rule, _, _ in trial.operations if rule != RANK}
    reached = [
        target for target in PRECISIONS if all(trial.operations[rule, share, target] is not None for rule in rules)
    ]
    return max(reached, default=None)


def _precision_recall(
    axes: Axes, trial: Trial, rules: Sequence[str], age: float, share: float, looks: dict[str, dict[str, Any]]
) -> None:
    """Posts of equal score join together, so a step may be a long one."""
    top = trial.tops[share]
    for rule in rules:
        scores = trial.scores[rule, age, share]
        order = np.argsort(-scores, kind="stable")
        last = np.append(np.diff(scores[order]) != 0, True)
        alerts, hits = np.arange(1, len(top) + 1)[last], np.cumsum(top[order])[last]
        axes.step(hits / top.sum(), hits / alerts, where="post", label=rule, linewidth=1.2, **looks[rule])
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="recall", ylabel="precision")
    axes.set_title(f"posts observed for {format_duration(age)}")
    axes.legend(frameon=False)


def _leads(axes: Axes, walked: dict[str, Operation], looks: dict[str, dict[str, Any]]) -> None:
    for rule, operation in walked.items():
        hours = np.sort(operation.leads)[::-1] / 3600.0
        axes.step(
            hours, np.arange(1, len(hours) + 1) / len(hours), where="post", label=rule, linewidth=1.2, **looks[rule]
        )
    axes.axvline(0.0, color="0.5", linewidth=0.8)
    axes.set_xscale("symlog", linthresh=0.25)
    axes.set(ylim=(0, 1), xlabel="hours before half of the final size", ylabel="share of the top alerted by then")
    axes.set_title("lead of the alerts")
    axes.legend(frameon=False)


def _examples(found: AlertEvaluation, share: float) -> list[int]:
    """Places, among the test posts, of posts of the top: spread evenly over their sizes."""
    trial = found.trials[0]
    top = np.flatnonzero(trial.tops[share])
    by_size = top[np.argsort(-found.curves.finals()[trial.test[top]], kind="stable")]
    return [int(by_size[i]) for i in np.unique(np.linspace(0, len(by_size) - 1, EXAMPLES).round().astype(int))]


def _life(
    axes: Axes,
    found: AlertEvaluation,
    trial: Trial,
    place: int,
    walked: dict[str, Operation],
    looks: dict[str, dict[str, Any]],
) -> None:
    """Size by age, a line where each rule alerts, and the half of the final size."""
    curves, post = found.curves, int(trial.test[place])
    first, end = int(curves.starts[post]), int(curves.starts[post + 1])
    ages = np.concatenate([[0.0], curves.ages[first:end], [curves.horizon_seconds]]) / 3600.0
    sizes = np.concatenate(
        [[0], curves.sizes[first + 1 : end + 1] - curves.sizes[first], [curves.sizes[end] - curves.sizes[first]]]
    )
    axes.step(ages, sizes, where="post", color="0.2", linewidth=1.0)
    axes.axhline(sizes[-1] / 2, color="0.7", linewidth=0.8)
    for rule, operation in walked.items():
        if np.isfinite(operation.ages[place]):
            axes.axvline(operation.ages[place] / 3600.0, linewidth=1.2, label=rule, **looks[rule])
    axes.set_xscale("symlog", linthresh=0.1)
    axes.set(xlabel="hours", ylabel="size", xlim=(0, ages[-1]), ylim=(0, None))
    axes.set_title(curves.ids[post], fontsize=8)
