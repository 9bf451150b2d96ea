"""``cascadecast bench``: figures and ratios that anyone can repeat."""

from __future__ import annotations

import sys
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import typer


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(help="Measure, beside a reference in the same run.", no_args_is_help=True)
    group.command("state")(state)
    group.command("bounds")(bounds)
    group.command("forecasters")(forecasters)
    group.command("recovery")(recovery)
    group.command("changelog")(changelog)
    group.command("soak")(soak)
    group.command("alerts")(alerts)
    group.command("metrics")(metrics)
    group.command("pipeline")(pipeline)
    group.command("promise")(promise)
    group.command("overload")(overload)
    group.command("compare")(compare)
    app.add_typer(group, name="bench")


DayFile = Annotated[str | None, typer.Option(help="Event file, laid over one day; else simulated.")]
Models = Annotated[str, typer.Option(help="As of cascadecast worker.")]
Skip = Annotated[int, typer.Option(min=0, help="So many events of earlier times are left out.")]
OwnOrder = Annotated[
    bool, typer.Option("--own-order", help="The file's posts as they followed one another: weeks in seconds.")
]
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
    from streams.bench.live_cascades import run as run_live

    started = perf_counter()
    _show("bench bounds", [*run(cascades, events, _say), *run_live(cascades, _say)], json, started)


def forecasters(json: Json = False) -> None:
    """Speed of ConCat, CasFT, AutoCas and batched GraphWave, beside their reference implementations."""
    from streams.bench.autocas import run as run_autocas
    from streams.bench.features_included import run as run_included
    from streams.bench.forecasters import run as run_concat
    from streams.bench.graphwave import run as run_graphwave
    from streams.bench.reuse import run as run_reuse
    from streams.bench.round_cost import run as run_rounds

    started = perf_counter()
    rows = [*run_concat(_say), *run_included(_say), *run_autocas(_say), *run_graphwave(_say)]
    rows += [*run_rounds("blend", _say), *run_reuse(_say)]
    _show("bench forecasters", rows, json, started)


def recovery(
    cascades: Annotated[int, typer.Option(min=100, help="Live cascades in the state.")] = 100_000,
    events: Annotated[int, typer.Option(min=1000, help="Their events.")] = 1_000_000,
    batch: Annotated[int, typer.Option(min=1, max=4000, help="Events of a segment.")] = 2000,
    partitions: Annotated[int, typer.Option(min=1)] = 8,
    json: Json = False,
) -> None:
    """Time from a worker's start to readiness, from its own disk and from the changelog alone, beside its live rate."""
    from streams.bench.recovery import RecoveryPlan, run

    started = perf_counter()
    plan = RecoveryPlan(cascades, events, batch, partitions)
    _show("bench recovery", run(plan, _say), json, started)


def changelog(
    events: Annotated[int, typer.Option(min=1000, help="Events at full speed.")] = 400_000,
    slow_seconds: Annotated[float, typer.Option(min=5, help="How long events then come one by one.")] = 60.0,
    slow_rate: Annotated[float, typer.Option(min=0.1, help="So many a second.")] = 10.0,
    json: Json = False,
) -> None:
    """Bytes of durable state an event, at full speed and when events come one by one."""
    from streams.bench.changelog import ChangelogPlan, run

    started = perf_counter()
    _show("bench changelog", run(ChangelogPlan(events, slow_seconds, slow_rate), _say), json, started)


def soak(
    minutes: Annotated[float, typer.Option(min=0.1, help="At full speed, once the memory is full.")] = 5.0,
    fixed_minutes: Annotated[float, typer.Option(min=0.1, help="After them, at a fixed rate; 60 for long.")] = 5.0,
    rate: Annotated[float, typer.Option(min=1, help="The fixed rate in events a second.")] = 500.0,
    models: Models = "hawkes",
    json: Json = False,
) -> None:
    """Memory, descriptors and threads of a worker while cascades come, mature, are learned from and leave."""
    from streams.bench.soak import SoakPlan, run

    started = perf_counter()
    _show("bench soak", run(SoakPlan(minutes, fixed_minutes, rate, models=models), _say), json, started)


def alerts(
    seconds: Annotated[float, typer.Option(min=20, help="Half at full speed, half live.")] = 120.0,
    rate: Annotated[
        float | None,
        typer.Option(min=1, help="Live events a second; half of what a worker keeps up with, if not given."),
    ] = None,
    models: Models = "trees",
    json: Json = False,
) -> None:
    """Time from an event to its alert at a consumer, at half of the rate that a worker keeps up with."""
    from streams.bench.alerts import AlertPlan, run

    started = perf_counter()
    _show("bench alerts", run(AlertPlan(seconds, rate, models), _say), json, started)


def metrics(
    cascades: Annotated[int, typer.Option(min=1000, help="Live cascades of the worker with the page.")] = 1_000_000,
    events: Annotated[int, typer.Option(min=10_000, help="Events taken in with and without metrics.")] = 400_000,
    partitions: Annotated[int, typer.Option(min=1)] = 8,
    rules: Annotated[Path | None, typer.Option(help="File of alert rules, whose series are on the page too.")] = None,
    json: Json = False,
) -> None:
    """What metrics cost: of the processor time at full speed, and the page's size and time with everything on it."""
    from streams.bench.metrics import MetricsPlan, run
    from streams.logs import configure_logging

    configure_logging("error", "console")  # the worker measured is in this process, and would tell of itself
    started = perf_counter()
    _show("bench metrics", run(MetricsPlan(cascades, events, partitions, rules=rules), _say), json, started)


def pipeline(
    count: Annotated[int, typer.Option(min=1000, help="Events, at most.")] = 400_000,
    events: DayFile = None,
    skip: Skip = 0,
    own_order: OwnOrder = False,
    partitions: Annotated[int, typer.Option(min=1)] = 8,
    models: Models = "blend",
    quixstreams: Annotated[
        Path, typer.Option(help="Python of an environment that has quixstreams.", show_default="this one")
    ] = Path(sys.executable),
    seed: int = 0,
    json: Json = False,
) -> None:
    """Events and forecasts a second of one worker on one core, beside plain Faust, quixstreams and bare consumers."""
    from streams.bench.pipeline import run
    from streams.bench.plan import PipelinePlan

    started = perf_counter()
    plan = PipelinePlan(count, events, partitions, models, str(quixstreams), seed, skip, own_order)
    _show("bench pipeline", run(plan, _say), json, started)


def promise(
    count: Annotated[int, typer.Option(min=1000, help="Events, at most.")] = 1_000_000,
    events: DayFile = None,
    skip: Skip = 0,
    own_order: OwnOrder = False,
    partitions: Annotated[int, typer.Option(min=1)] = 8,
    models: Models = "blend",
    seed: int = 0,
    json: Json = False,
) -> None:
    """How fast a paced worker lets events in, and which share of the touched posts is forecast within 2 s then."""
    from streams.bench.plan import PipelinePlan
    from streams.bench.promises import run_paced

    started = perf_counter()
    plan = PipelinePlan(count, events, partitions, models, seed=seed, skip=skip, own_order=own_order)
    _show("bench promise", run_paced(plan, _say), json, started)


def overload(
    count: Annotated[int, typer.Option(min=1000, help="Events, at most.")] = 100_000,
    events: DayFile = None,
    models: Models = "trees",
    level: Annotated[float, typer.Option(min=1, help="Expected size from which a post opens an alert.")] = 500.0,
    seed: int = 0,
    json: Json = False,
) -> None:
    """What is left of the alerts when only a part of the forecasts can be made, by the order in which they are."""
    from streams.bench.overload import OverloadPlan, run

    started = perf_counter()
    _show("bench overload", run(OverloadPlan(count, events, models, level, seed), _say), json, started)


def compare(
    old: Annotated[Path, typer.Argument(help="What --json printed before: one result or several.")],
    new: Annotated[Path, typer.Argument(help="The same, later.")],
    json: Json = False,
) -> None:
    """Hold two results against each other; exit code 1 when a ratio became worse by more than 15 %."""
    from streams.bench.compare import compare as compared

    started = perf_counter()
    rows, worse = compared(old, new)
    _show("bench compare", rows, json, started)
    for name in worse:
        typer.echo(f"worse: {name}", err=True)
    if worse:
        raise typer.Exit(1)


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
