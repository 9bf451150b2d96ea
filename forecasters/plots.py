"""An evaluation as a picture: predicted against actual growth, error by age, nominal against measured coverage.

Drawn by matplotlib, the extra ``plot``. The same evaluation gives the same file to the byte.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from forecasters.runs import Run
from graph.durations import format_duration
from graph.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS: Final = (".svg", ".png")
MARKS: Final = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")
"""A second way to tell ten models apart, for who does not see colours or prints without them."""
_STYLE: Final = {
    "svg.hashsalt": "cascadecast",  # ids inside the file would be random otherwise
    "svg.fonttype": "none",  # text stays text: searchable, and a fifth of the size
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def check_plot(path: Path) -> None:
    """Raises `UserError` where a plot could not be written at the end: other suffix, no folder, no matplotlib."""
    if path.suffix not in FORMATS:
        raise UserError(f"--plot {path}: the name must end in {' or '.join(FORMATS)}")
    if not path.parent.is_dir():
        raise UserError(f"--plot {path}: there is no folder {path.parent}; make it first")
    if find_spec("matplotlib") is None:
        raise UserError("--plot needs matplotlib; run: pip install 'cascadecast[plot]'")


def write_plot(path: Path, rows: Sequence[dict[str, Any]], runs: Sequence[Run]) -> None:
    """Draw ``rows`` and the ``runs`` they were made from into ``path``, whole or not at all; see `check_plot`."""
    write_figure(path, lambda: drawn(rows, runs))


def write_figure(path: Path, draw: Callable[[], Figure]) -> None:
    """What ``draw`` draws, in the house's style, into ``path``: whole or not at all, the same to the byte."""
    import matplotlib as mpl

    with mpl.rc_context(_STYLE):
        figure = draw()
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            metadata = {"Date": None} if path.suffix == ".svg" else {"Software": None}
            figure.savefig(temporary, format=path.suffix[1:], dpi=150, metadata=metadata)
            temporary.chmod(0o644)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def drawn(rows: Sequence[dict[str, Any]], runs: Sequence[Run]) -> Figure:
    """The figure of three panels; the first and the last show the latest observation age."""
    from matplotlib.figure import Figure

    models = list(dict.fromkeys(run.model for run in runs))
    looks = {model: {"color": f"C{i % 10}", "marker": MARKS[i % len(MARKS)]} for i, model in enumerate(models)}
    latest = max(run.observe_seconds for run in runs)
    shown = [run for run in runs if run.observe_seconds == latest]
    figure = Figure(figsize=(13.0, 4.8), layout="constrained")
    scatter, errors, calibration = figure.subplots(1, 3)
    _scatter(scatter, shown, _compared(rows, models, latest), looks)
    _errors(errors, rows, models, looks)
    _calibration(calibration, shown, looks)
    lines, labels = errors.get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside lower center", ncols=min(len(models), 7), frameon=False)
    first = rows[0]
    figure.suptitle(f"{first['data']}, {first['split']} split, horizon {format_duration(first['horizon_seconds'])}")
    return figure


def _compared(rows: Sequence[dict[str, Any]], models: Sequence[str], age: float) -> list[str]:
    """The best model at an age and the reference: more clouds of points would hide each other."""
    of_age = [row for row in rows if row["observe_seconds"] == age]
    best = min(range(len(of_age)), key=lambda i: of_age[i]["msle"])
    return list(dict.fromkeys([models[best], *([of_age[0]["reference"]] if of_age[0]["reference"] else [])]))


def _scatter(axes: Axes, runs: Sequence[Run], models: Sequence[str], looks: dict[str, dict[str, Any]]) -> None:
    """One point a case, of the first seed; both axes 1 + growth, logarithmic as the errors are."""
    top = 2.0
    for model in models:
        run = next(run for run in runs if run.model == model)
        axes.scatter(1 + run.actual, 1 + run.predicted, s=9, alpha=0.45, linewidths=0, label=model, **looks[model])
        top = max(top, float(1 + run.actual.max()), float(1 + run.predicted.max()))
    axes.plot([1, top], [1, top], color="0.5", linewidth=0.8)
    axes.set(xscale="log", yscale="log", xlabel="1 + actual growth", ylabel="1 + predicted growth")
    axes.set_title(f"predicted against actual, observed for {format_duration(runs[0].observe_seconds)}")
    axes.legend(frameon=False, loc="upper left")


def _errors(
    axes: Axes, rows: Sequence[dict[str, Any]], models: Sequence[str], looks: dict[str, dict[str, Any]]
) -> None:
    """MSLE at each observation age with its 95 % interval; models a little apart, so that bars do not cover bars."""
    ages = sorted({row["observe_seconds"] for row in rows})
    for i, model in enumerate(models):
        own = [rows[k] for k in range(i, len(rows), len(models))]
        own.sort(key=lambda row: float(row["observe_seconds"]))
        x = np.array([row["observe_seconds"] for row in own]) * 1.03 ** (i - (len(models) - 1) / 2)
        y = np.array([row["msle"] for row in own])
        reach = np.array([[row["msle"] - row["msle_low"], row["msle_high"] - row["msle"]] for row in own]).T
        axes.errorbar(
            x, y, np.maximum(reach, 0.0), label=model, linewidth=1.0, elinewidth=0.8, markersize=4, **looks[model]
        )
    axes.set(xscale="log", xlabel="observed for", ylabel="MSLE (log2), 95 % interval", ylim=(0.0, None))
    axes.set_xticks(ages, [format_duration(age) for age in ages])
    axes.set_xticks([], minor=True)
    axes.set_title("error by age")


def _calibration(axes: Axes, runs: Sequence[Run], looks: dict[str, dict[str, Any]]) -> None:
    """A line where intervals of all levels could be made; a point for stored weights, which know their own level."""
    axes.plot([0, 1], [0, 1], color="0.5", linewidth=0.8)
    for model in looks:
        curves = np.array([run.curve for run in runs if run.model == model])  # (S, L, 2)
        if curves.size:
            levels, measured = curves.mean(axis=0).T
            axes.plot(levels, measured, linewidth=1.0, markersize=4, **looks[model])
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="nominal coverage", ylabel="measured coverage")
    axes.set_title("calibration of the intervals")
