"""``cascadecast demo``: embedded Kafka, worker, stream and live view; Ctrl-C ends all of it cleanly."""

from __future__ import annotations

import math
import signal
import sys
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from streams.demo.session import DemoPlan, DemoSummary


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo(
    events: Annotated[
        str | None,
        typer.Option(help="Play this event file (JSONL, plain, .gz or .zst) instead of the simulator."),
    ] = None,
    fold: Annotated[str | None, typer.Option(help="Lay the file's cascades over one period, such as 24h.")] = None,
    speed: Annotated[str, typer.Option(help="Event seconds per second, or max: as fast as Kafka takes them.")] = "60",
    warmup: Annotated[str, typer.Option(help="So much of the stream is published at once, at the start.")] = "6h",
    seconds: Annotated[
        float | None,
        typer.Option(min=1.0, help="End by itself so long after Kafka is up.  [default: at Ctrl-C]"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the simulator: the same seed, the same posts.")] = 0,
    models: Annotated[
        str, typer.Option(help="Comma-separated: name, name@version or name@alias; the first one is shown.")
    ] = "blend,concat,casft,autocas",
    workers: Annotated[int, typer.Option(min=1, max=16, help="Worker processes.")] = 1,
    partitions: Annotated[int, typer.Option(min=1, max=64, help="Partitions of the topics.")] = 4,
    bootstrap_servers: Annotated[
        str | None,
        typer.Option(help="Use this Kafka, with topics of the demo's own, which it removes at the end."),
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="At the end write the view as it stood to this SVG file.")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="At the end print one JSON object; the view goes to standard error.")
    ] = False,
) -> None:
    """Show the posts rising fastest, live, through a Kafka of the demo's own; nothing is left behind.

    Exit code 0 after --seconds or Ctrl-C, 143 after SIGTERM, 1 when a worker or Kafka ends by itself.
    """
    from rich.console import Console

    from streams.demo.display import Display
    from streams.demo.session import DemoError, run_demo

    plan = _plan(events, fold, speed, warmup, seconds, seed, models, workers, partitions, bootstrap_servers)
    console = Console(stderr=json, quiet=json and not sys.stderr.isatty(), highlight=False)
    display = Display(console)
    began = perf_counter()
    try:
        summary = run_demo(plan, display)
    except DemoError as error:
        print(f"cascadecast: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    if display.full_screen:
        display.show_lines(summary.board, summary.vitals)
    _say_what_came_of_it(display, summary, plan)
    if picture is not None:
        _write_picture(picture, summary)
    if json:
        from streams.cli.results import print_result

        print_result("demo", perf_counter() - began, [_row(summary, plan)])
    if summary.ended_by not in (None, signal.SIGINT):
        raise typer.Exit(128 + (summary.ended_by or 0))


def _plan(
    events: str | None,
    fold: str | None,
    speed: str,
    warmup: str,
    seconds: float | None,
    seed: int,
    models: str,
    workers: int,
    partitions: int,
    bootstrap_servers: str | None,
) -> DemoPlan:
    """The options as a plan; raises UserError for what cannot be meant, before anything is started."""
    from forecasters.registry import forecaster_names
    from graph.durations import parse_duration
    from graph.errors import UserError
    from streams.demo.feed import Feed, Pace, file_records, simulated_records
    from streams.demo.session import DemoPlan

    if fold is not None and events is None:
        raise UserError("--fold is for an event file: add --events FILE, or leave it out")
    if events is not None and events != "-" and not Path(events).is_file():
        raise UserError(f"{events}: no such event file: check the path, or leave --events out to simulate")
    fold_seconds = parse_duration(fold) if fold else None
    pace = Pace(_speed(speed), _warmup(warmup))
    names = tuple(name.strip() for name in models.split(",") if name.strip())
    if not names:
        raise UserError("--models names no model; name at least one, such as concat")
    known = forecaster_names()
    for name in names:
        if name.partition("@")[0] not in known:
            raise UserError(f"--models names {name!r}; the models are {', '.join(known)}")
    records = simulated_records(seed) if events is None else file_records(events, fold_seconds)
    return DemoPlan(Feed(records, pace), pace.speed, names, workers, partitions, seconds, bootstrap_servers)


def _speed(text: str) -> float:
    from graph.errors import UserError

    if text == "max":
        return math.inf
    try:
        value = float(text.removesuffix("x"))
    except ValueError:
        value = math.nan
    if not (value > 0 and math.isfinite(value)):
        raise UserError(f"speed {text!r} is no number above zero; write one, such as 60, or max")
    return value


def _warmup(text: str) -> float:
    from graph.durations import parse_duration

    return 0.0 if text == "0" else parse_duration(text)


def _say_what_came_of_it(display: Any, summary: DemoSummary, plan: DemoPlan) -> None:
    vitals = summary.vitals
    first = vitals.first_forecast_seconds
    told = (
        "no forecast came in that time: give it more --seconds"
        if first is None
        else f"{vitals.forecasts:,} forecasts received, the first {first:.1f} s after Kafka was up"
    )
    display.done(
        f"ended: {plan.feed.acknowledged:,} events published, {told}; {vitals.dead_letters:,} dead letters; "
        "nothing is left running"
    )


def _row(summary: DemoSummary, plan: DemoPlan) -> dict[str, Any]:
    vitals = summary.vitals
    first = vitals.first_forecast_seconds
    return {
        "events_published": plan.feed.acknowledged,
        "forecasts_received": vitals.forecasts,
        "forecasts_by_model": dict(summary.board.forecasts),
        "first_forecast_seconds": None if first is None else round(first, 3),
        "dead_letters": vitals.dead_letters,
        "posts": len(summary.board),
        "speed": plan.speed if math.isfinite(plan.speed) else "max",
        "workers": plan.workers,
        "partitions": plan.partitions,
        "stream_ended": vitals.ended,
        "ended_by": None if summary.ended_by is None else signal.Signals(summary.ended_by).name,
    }


def _write_picture(path: Path, summary: DemoSummary) -> None:
    from streams.cli.output import atomic_lines
    from streams.demo.display import picture

    atomic_lines(path, [picture(summary.board, summary.vitals).encode()])
