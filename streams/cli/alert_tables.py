"""Rows of ``evaluate alerts`` as two tables, in a terminal or in Markdown."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Final

from graph.durations import format_duration

AGE_COLUMNS: Final = ("observe", "top", "rule", "posts", "in top", "AP", "AP / today's best", "precision = recall")
STREAM_COLUMNS: Final = (
    "top", "precision asked", "rule", "alerts", "precision", "recall", "median lead", "lead / today's best",
)  # fmt: skip
CAPTION: Final = (
    "95 % bootstrap over posts. In the first table each rule alerts for as many posts as are in the top. "
    "Lead: before half of the final size; a post never alerted counts as alerted at the horizon."
)
PIPE_WIDTH: Final = 160


def age_cells(rows: Sequence[dict[str, Any]]) -> list[list[str]]:
    """The rows of the protocol "age" as text, in the order of `AGE_COLUMNS`."""
    return [
        [
            format_duration(row["observe_seconds"]),
            f"{100 * row['top_share']:g} %",
            _rule(row),
            str(row["n"]),
            f"{row['positives']:g}",
            f"{row['average_precision']:.3f}",
            _ratio(row),
            f"{row['precision']:.3f}",
        ]
        for row in rows
        if row["protocol"] == "age"
    ]


def stream_cells(rows: Sequence[dict[str, Any]]) -> list[list[str]]:
    """The rows of the protocol "stream" as text, in the order of `STREAM_COLUMNS`."""
    cells = []
    for row in rows:
        if row["protocol"] == "stream":
            asked = "as many alerts as in top" if row["target_precision"] is None else f"{row['target_precision']:g}"
            measured = [_figure(row["alerts"], ".0f"), _figure(row["precision"], ".3f"), _figure(row["recall"], ".3f")]
            lead = row["median_lead_seconds"]
            shown = "-" if lead is None else f"{lead / 60:.1f} min"
            cells.append([f"{100 * row['top_share']:g} %", asked, _rule(row), *measured, shown, _ratio(row)])
    return cells


def markdown_tables(rows: Sequence[dict[str, Any]]) -> str:
    """Both tables in Markdown."""
    tables = []
    for columns, cells in ((AGE_COLUMNS, age_cells(rows)), (STREAM_COLUMNS, stream_cells(rows))):
        lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
        tables.append("\n".join([*lines, *("| " + " | ".join(line) + " |" for line in cells)]))
    return "\n\n".join(tables)


def print_tables(rows: Sequence[dict[str, Any]]) -> None:
    """Both tables on standard output, and how to read them."""
    from rich.console import Console
    from rich.table import Table

    first = rows[0]
    title = f"{first['data']}, {first['split']} split, horizon {format_duration(first['horizon_seconds'])}"
    console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)
    for name, columns, cells in (
        (f"at one age: {title}", AGE_COLUMNS, age_cells(rows)),
        (f"through each post's life: {title}", STREAM_COLUMNS, stream_cells(rows)),
    ):
        table = Table(title=name)
        for column in columns:
            table.add_column(column, justify="left" if column == "rule" else "right", no_wrap=column == "rule")
        for line in cells:
            table.add_row(*line)
        console.print(table)
    console.print(CAPTION)


def _rule(row: dict[str, Any]) -> str:
    """The rule, the rate with its window."""
    window = row["window_seconds"]
    return row["rule"] if window is None else f"{row['rule']} over {format_duration(window)}"


def _ratio(row: dict[str, Any]) -> str:
    ratio, low, high = row["ratio"], row["ratio_low"], row["ratio_high"]
    if ratio is None:
        return "-"
    if low is None or high is None:
        return f"{ratio:.2f}"
    return "1" if low == high == 1.0 else f"{ratio:.2f} ({low:.2f} to {high:.2f})"


def _figure(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
