"""``cascadecast models compare NAME``: champion against challenger, before a promotion."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer


def compare(
    name: Annotated[str, typer.Argument(help="The model.")],
    data: Annotated[
        Path, typer.Option(help="Event file with whole cascades, best newer than those either was trained on.")
    ],
    observe: Annotated[str, typer.Option(help="Ages at which the input is cut.")] = "10m,30m,1h,3h,6h",
    horizon: Annotated[str, typer.Option(help="Age at which popularity is forecast.")] = "24h",
    champion: Annotated[str, typer.Option(help="Its version or alias.")] = "champion",
    challenger: Annotated[str, typer.Option(help="Its version or alias.")] = "challenger",
    max_cascades: Annotated[int | None, typer.Option(min=1, help="Use the first N cascades of the file.")] = None,
    store: Annotated[
        Path | None, typer.Option("--store", help="Model store.  [default: $CASCADECAST_MODELS_DIR or ./models]")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compare the errors of two versions on the same cascades, with the bootstrap's interval of the difference."""
    from forecasters.head_to_head import head_to_head
    from forecasters.model_lookup import load_forecaster
    from graph.durations import parse_duration
    from graph.errors import UserError
    from streams.cli.cascade_files import load_cascades
    from streams.cli.results import print_result

    began = time.perf_counter()
    ages = tuple(parse_duration(part) for part in observe.split(","))
    horizon_seconds = parse_duration(horizon)
    if max(ages) >= horizon_seconds:
        raise UserError(f"--observe {observe}: every age must be below --horizon {horizon}")
    first, second = (load_forecaster(f"{name}@{version}", store) for version in (champion, challenger))
    rows = head_to_head(first, second, load_cascades([data], max_cascades), ages, horizon_seconds)
    if json:
        about = {"model": name, "data": data.name, "horizon_seconds": horizon_seconds}
        print_result("models compare", time.perf_counter() - began, [about | row for row in rows])
        return
    _print_table(name, rows)


def _print_table(name: str, rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    last = rows[-1]
    table = Table(title=f"{name}: champion {last['champion']}, challenger {last['challenger']}")
    for column in ("observed", "cases", "champion MSLE", "challenger MSLE", "difference (95 %)", "better"):
        table.add_column(column, justify="right")
    for row in rows:
        age = "all" if row["observe_seconds"] is None else f"{row['observe_seconds'] / 60:g} min"
        table.add_row(
            age,
            str(row["n"]),
            f"{row['champion_msle']:.3f}",
            f"{row['challenger_msle']:.3f}",
            f"{row['difference']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f})",
            row["better"] or "within chance",
        )
    Console().print(table)
