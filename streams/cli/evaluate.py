"""``cascadecast evaluate``: how good the forecasters are, in one table."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from graph import Cascade


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("evaluate")(evaluate)


def evaluate(
    data: Annotated[Path, typer.Option(help="Event file with whole cascades (JSONL, plain, .gz or .zst).")],
    observe: Annotated[str, typer.Option(help="Ages at which the input is cut.")] = "30m,1h",
    horizon: Annotated[str, typer.Option(help="Age at which popularity is forecast.")] = "24h",
    models: Annotated[str, typer.Option(help="'all', or names: hawkes,ridge,concat@2.")] = "all",
    split: Annotated[
        str, typer.Option(help="all: score stored weights on every cascade. random, time: train on 70 % first.")
    ] = "all",
    seeds: Annotated[str, typer.Option(help="Seeds of the random splits and of training.")] = "0,1,2",
    max_cascades: Annotated[int | None, typer.Option(min=1, help="Use the first N cascades of the file.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="At most so many epochs for neural models.")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown table.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Score forecasters under the field's protocol: cascades with 10 events or more when observed, errors in
    log2."""
    from forecasters.evaluation import EvaluationPlan, chosen_models, evaluation_split
    from forecasters.evaluation import evaluate as rows_of
    from graph.durations import parse_duration
    from graph.errors import UserError
    from streams.cli.results import print_result

    how = evaluation_split(split)
    ages = tuple(parse_duration(part) for part in observe.split(","))
    horizon_seconds = parse_duration(horizon)
    if max(ages) >= horizon_seconds:
        raise UserError(f"--observe {observe}: every age must be below --horizon {horizon}")
    plan = EvaluationPlan(
        models=chosen_models(models, how),
        observe_seconds=ages,
        horizon_seconds=horizon_seconds,
        split=how,
        seeds=parse_seeds(seeds),
        epochs=epochs,
    )
    began = time.perf_counter()
    cascades = load_cascades(data, max_cascades)
    with _notices() as notice:
        rows = list(rows_of(cascades, plan, data=data.name, notice=notice))
    if json:
        print_result("evaluate", time.perf_counter() - began, rows)
    elif markdown:
        typer.echo(markdown_table(rows))
    else:
        _print_table(rows)


def parse_seeds(text: str) -> tuple[int, ...]:
    """Seeds from ``0,1,2``; raises `UserError`."""
    from graph.errors import UserError

    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise UserError(f"--seeds {text}: give whole numbers from 0, such as 0,1,2")
    return tuple(int(part) for part in parts)


def load_cascades(path: Path, limit: int | None = None) -> list[Cascade]:
    """The cascades of an event file, with progress on a terminal; raises `EventFileError`."""
    from rich.console import Console
    from rich.progress import Progress

    from forecasters.labels import read_labelled_cascades

    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(f"reading {path.name}", total=None)
        found = read_labelled_cascades(
            path, progress=lambda done, total: progress.update(task, completed=done, total=total)
        )
    return found[:limit]


@contextmanager
def _notices() -> Iterator[Callable[[str], None] | None]:
    """A line on a terminal that says what is at work; None in a pipe."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console

    with Console(stderr=True).status("evaluating") as status:
        yield status.update


COLUMNS = ("model", "observe", "n", "MSLE", "MAPE", "MALE", "PCC", "R2", "coverage")


def table_cells(rows: Sequence[dict[str, Any]]) -> list[list[str]]:
    """The rows as text, in the order of `COLUMNS`; a spread over several seeds follows its mean."""
    cells = []
    for row in rows:
        metrics = []
        for metric in ("msle", "mape", "male", "pcc", "r2", "coverage"):
            mean, spread = row[metric], row[f"{metric}_std"]
            text = "-" if mean is None else f"{mean:.3f}"
            metrics.append(f"{text} ± {spread:.3f}" if spread and len(row["seeds"]) > 1 else text)
        cells.append([row["model"], f"{row['observe_seconds'] / 3600:g} h", str(row["n"]), *metrics])
    return cells


def markdown_table(rows: Sequence[dict[str, Any]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|"]
    lines += ["| " + " | ".join(cells) + " |" for cells in table_cells(rows)]
    return "\n".join(lines)


def _print_table(rows: Sequence[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    first = rows[0]
    title = f"{first['data']}, {first['split']} split, horizon {first['horizon_seconds'] / 3600:g} h"
    table = Table(title=title)
    for column in COLUMNS:
        table.add_column(column, justify="left" if column == "model" else "right")
    for cells in table_cells(rows):
        table.add_row(*cells)
    Console().print(table)
