"""``cascadecast simulate``: realistic cascades as an event file, or beside real ones."""

from __future__ import annotations

import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graph.errors import UserError
from graph.simulation import Simulation

if TYPE_CHECKING:
    from graph.realism import Comparison

DEFAULTS = {field.name: field.default for field in fields(Simulation)}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("simulate")(simulate)


def simulate(
    cascades: Annotated[int, typer.Option(min=0, help="How many.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same cascades.")] = 0,
    hours: Annotated[float, typer.Option(help="Roots are posted during this time.")] = 24.0,
    start: Annotated[
        str, typer.Option(help="When the first may be posted: seconds since 1970 or an ISO 8601 date.")
    ] = f"{DEFAULTS['start_time']:.0f}",
    mean_size: Annotated[float, typer.Option(help="Mean number of reshares.")] = 60.0,
    branching_ratio: Annotated[float, typer.Option(help="Mean number of reshares a reshare causes, below 0.9.")] = 0.34,
    lifetime_hours: Annotated[float, typer.Option(help="Age at which a cascade ends.")] = 168.0,
    rhythm: Annotated[float, typer.Option(help="Day and night: 0 none, 1 as measured.")] = 1.0,
    utc_offset_hours: Annotated[float, typer.Option(help="Local time of the audience.")] = 8.0,
    output: Annotated[
        str, typer.Option("--output", "-o", help="Event file, .gz or .zst by its name; - for standard output.")
    ] = "-",
    compare: Annotated[
        str | None, typer.Option(help="Write no events: print statistics beside those of this event file.")
    ] = None,
    sizes: Annotated[str, typer.Option(help="Of --compare: only cascades of so many reshares.")] = "100-999",
    figure: Annotated[Path | None, typer.Option(help="Of --compare: also draw them into this SVG.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object; needs --output or --compare.")] = False,
) -> None:
    """Make realistic cascades: self-exciting, heavy-tailed, with day and night; events in order of time."""
    simulation = Simulation(
        seed=seed,
        start_time=_instant(start),
        hours=hours,
        mean_size=mean_size,
        branching_ratio=branching_ratio,
        lifetime_hours=lifetime_hours,
        rhythm=rhythm,
        utc_offset_hours=utc_offset_hours,
    )
    if compare is not None:
        _compare(simulation, compare, sizes, figure, json)
    elif json and output == "-":
        raise UserError("--json and the events cannot both go to standard output: name a file with --output")
    elif figure is not None:
        raise UserError("--figure draws a comparison: name real cascades with --compare FILE")
    else:
        _write(simulation, cascades, output, json)


def _instant(text: str) -> float:
    from graph.importers.options import instant

    seconds = instant(text)
    if seconds is None:
        raise UserError(f"--start {text!r} is no time: give seconds since 1970 or a date such as 2024-03-01T08:00")
    return seconds


def _write(simulation: Simulation, cascades: int, output: str, json: bool) -> None:
    from graph.event_files import write_events
    from graph.ordering import ordered
    from graph.simulator import simulated_events
    from streams.cli.progress import counting

    started = time.perf_counter()
    with counting("simulated", "written") as ticker:
        events = ticker.through("simulated", simulated_events(simulation, cascades))
        count = write_events(output, ticker.through("written", ordered(events)))
    seconds = time.perf_counter() - started
    if json:
        from streams.cli.results import print_result

        rate = round(count / seconds) if seconds > 0 else 0
        row = {"cascades": cascades, "events": count, "output": output, "seed": simulation.seed}
        print_result("simulate", seconds, [{**row, "events_per_second": rate}])
    elif output != "-":
        print(f"{count:,} events of {cascades:,} cascades in {output}", file=sys.stderr)


def _compare(simulation: Simulation, path: str, sizes: str, figure: Path | None, json: bool) -> None:
    from graph.event_files import read_cascades
    from graph.realism import compare, markdown, real_trees

    low, high = _bounds(sizes)
    started = time.perf_counter()
    real = real_trees(read_cascades(path), simulation.lifetime_hours * 3600.0, low, high)
    comparison = compare(real, simulation)
    if figure is not None:
        _draw(comparison, figure)
    if json:
        from streams.cli.results import print_result

        print_result("simulate", time.perf_counter() - started, _rows(comparison))
    else:
        sys.stdout.write(
            f"{len(comparison.real):,} real cascades; {len(comparison.simulated_sizes):,} of {comparison.drawn:,} "
            f"simulated ones are of their sizes.\n\n{markdown(comparison)}"
        )


def _bounds(sizes: str) -> tuple[int, int]:
    low, dash, high = sizes.partition("-")
    if not (dash and low.isdecimal() and high.isdecimal() and 1 <= int(low) <= int(high)):
        raise UserError(f"--sizes {sizes!r} is no range: give two whole numbers from 1 on, such as 100-999")
    return int(low), int(high)


def _rows(comparison: Comparison) -> list[dict[str, object]]:
    from graph.realism import QUANTILES, quantile_table

    return [
        {"statistic": name, "quantiles": QUANTILES, "real": real.tolist(), "simulated": simulated.tolist()}
        for name, real, simulated in quantile_table(comparison)
    ]


def _draw(comparison: Comparison, path: Path) -> None:
    from graph.realism_figure import figure
    from streams.cli.output import atomic_lines

    atomic_lines(path, (line.encode() for line in figure(comparison).splitlines()))
