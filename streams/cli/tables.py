"""Rows of an evaluation as a table, in a terminal or in Markdown."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Final

from graph.durations import format_duration

COLUMNS: Final = ("model", "observe", "n", "MSLE", "MAPE", "MALE", "PCC", "R2", "coverage", "MSLE / reference")

PIPE_WIDTH: Final = 200


def table_cells(rows: Sequence[dict[str, Any]]) -> list[list[str]]:
    """The rows as text, in the order of `COLUMNS`; a spread over several seeds follows its mean, and a version its
    model where several versions were scored."""
    versions: dict[str, set[str]] = {}
    for row in rows:
        versions.setdefault(row["model"], set()).add(row["model_version"])
    cells = []
    for row in rows:
        metrics = []
        for metric in ("msle", "mape", "male", "pcc", "r2", "coverage"):
            mean, spread = row[metric], row[f"{metric}_std"]
            text = "-" if mean is None else f"{mean:.3f}"
            metrics.append(f"{text} ± {spread:.3f}" if spread and len(row["seeds"]) > 1 else text)
        model = f"{row['model']}@{row['model_version']}" if len(versions[row["model"]]) > 1 else row["model"]
        cells.append([model, format_duration(row["observe_seconds"]), str(row["n"]), *metrics, _ratio(row)])
    return cells


def _ratio(row: dict[str, Any]) -> str:
    """The MSLE as a share of the reference's, with its interval."""
    ratio, low, high = (row[key] for key in ("msle_ratio", "msle_ratio_low", "msle_ratio_high"))
    if ratio is None or low is None or high is None:
        return "-"
    return "1" if low == high == 1.0 else f"{ratio:.3f} ({low:.3f} to {high:.3f})"


def markdown_table(rows: Sequence[dict[str, Any]]) -> str:
    """A Markdown table; its last column, where there is a reference, is named after it."""
    reference = rows[0]["reference"]
    columns = (*COLUMNS[:-1], *([f"MSLE / {reference}"] if reference is not None else []))
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    lines += ["| " + " | ".join(cells[: len(columns)]) + " |" for cells in table_cells(rows)]
    return "\n".join(lines)


def print_table(rows: Sequence[dict[str, Any]]) -> None:
    """A table on standard output, and under it how to read its last column."""
    from rich.console import Console
    from rich.table import Table

    first = rows[0]
    title = f"{first['data']}, {first['split']} split, horizon {format_duration(first['horizon_seconds'])}"
    reference = first["reference"]
    caption = None if reference is None else f"reference: {reference}; 95 % bootstrap over cascades"
    table = Table(title=title, caption=caption)
    columns = COLUMNS if reference is not None else COLUMNS[:-1]
    for column in columns:
        table.add_column(column, justify="left" if column == "model" else "right", no_wrap=column == "model")
    for cells in table_cells(rows):
        table.add_row(*cells[: len(columns)])
    # a pipe has no width of its own, and 80 columns would cut the numbers
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(table)
