"""``cascadecast bench``: figures and ratios that anyone can repeat."""

from __future__ import annotations

import sys
from time import perf_counter
from typing import Annotated, Any

import typer


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(help="Measure, beside a reference in the same run.", no_args_is_help=True)
    group.command("state")(state)
    group.command("bounds")(bounds)
    group.command("forecasters")(forecasters)
    app.add_typer(group, name="bench")


Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def state(
    events: Annotated[int, typer.Option(min=1000, help="Events to append.")] = 10_000_000,
    cascades: Annotated[int, typer.Option(min=1, help="Cascades they fall into.")] = 100_000,
    seed: int = 0,
    json: Json = False,
) -> None:
    """Memory and speed of the compact cascade state, beside networkx."""
    from streams.bench.state import run

    started = perf_counter()
    _show("bench state", run(events, cascades, seed, lambda what, share: _say(f"{what}: {share:.0%}")), json, started)


def bounds(
    cascades: Annotated[int, typer.Option(min=1000, help="Live cascades, and forecasts pending.")] = 1_000_000,
    events: Annotated[int, typer.Option(min=1000, help="Events of the one large cascade.")] = 1_000_000,
    json: Json = False,
) -> None:
    """What a million live cascades, a cascade of a million events and a million pending forecasts cost."""
    from streams.bench.bounds import run

    started = perf_counter()
    _show("bench bounds", run(cascades, events, _say), json, started)


def forecasters(json: Json = False) -> None:
    """Speed of ConCat's fast path, of AutoCas and of batched GraphWave, beside their reference implementations."""
    from streams.bench.autocas import run as run_autocas
    from streams.bench.forecasters import run as run_concat
    from streams.bench.graphwave import run as run_graphwave

    started = perf_counter()
    _show("bench forecasters", [*run_concat(_say), *run_autocas(_say), *run_graphwave(_say)], json, started)


def _say(what: str) -> None:
    if sys.stderr.isatty():
        typer.echo(what, err=True)


def _show(command: str, rows: list[dict[str, Any]], json: bool, started: float) -> None:
    from rich.console import Console
    from rich.table import Table

    from streams.cli.results import print_result

    if json:
        print_result(command, perf_counter() - started, rows)
        return
    table = Table(title=f"cascadecast {command}")
    for column in ("name", "value", "unit", "reference", "reference value", "ratio"):
        table.add_column(column, justify="left" if column in ("name", "unit", "reference") else "right")
    for row in rows:
        table.add_row(
            str(row["name"]),
            _figure(row["value"]),
            str(row["unit"]),
            str(row.get("reference") or ""),
            _figure(row.get("reference_value")),
            _figure(row.get("ratio")),
        )
    Console().print(table)


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:,.4g}"
