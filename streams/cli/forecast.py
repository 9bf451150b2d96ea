"""``cascadecast forecast FILE``: the same engine in one process, no broker."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("forecast")(forecast)


def forecast(
    file: Annotated[str, typer.Argument(help="Event file: JSONL, plain, .gz or .zst; - for standard input.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write here instead of standard output (.gz, .zst by name)."),
    ] = None,
    models: Annotated[str | None, typer.Option(help="Comma-separated: name, name@version or name@alias.")] = None,
    horizon: Annotated[str | None, typer.Option(help="Age at which popularity is forecast, such as 24h.")] = None,
    delay: Annotated[
        str | None, typer.Option(help="An updated post is forecast within this time, such as 60s.")
    ] = None,
    minimum_observed: Annotated[int | None, typer.Option(help="Reshares before a post is forecast.")] = None,
    fold: Annotated[str | None, typer.Option(help="Lay the cascades over one period, such as 24h.")] = None,
    partitions: Annotated[
        int | None, typer.Option(help="As many as the events topic would have; each learns from its own scores.")
    ] = None,
    scores: Annotated[
        Path | None, typer.Option(help="Write what became of forecasts here, one JSON record a line.")
    ] = None,
    alert_rules: Annotated[Path | None, typer.Option(help="TOML file of alert rules, for --alerts.")] = None,
    alerts: Annotated[
        Path | None, typer.Option(help="Write what becomes of alerts here, one JSON record a line.")
    ] = None,
    in_order: Annotated[bool, typer.Option("--in-order", help="The file is ordered by event time already.")] = False,
    config: Annotated[Path | None, typer.Option(help="TOML file of settings.", exists=True, dir_okay=False)] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print a summary of the run as one JSON object (with --output).")
    ] = False,
) -> None:
    """Forecast every updated post of an event file; one JSON record a line, as on the forecasts topic."""
    from graph import read_events
    from graph.durations import parse_duration
    from graph.errors import UserError
    from graph.ordering import ordered
    from streams.alerts.rule_file import load_rules
    from streams.cli.output import atomic_file, atomic_lines
    from streams.cli.progress import counting
    from streams.cli.results import print_result
    from streams.engine.forecast_file import RunCounts, forecast_events
    from streams.engine.inference import load_service
    from streams.records import encode_record
    from streams.settings import load_settings

    if json and output is None:
        raise UserError("--json prints one object on standard output; write the forecasts to a file with --output FILE")
    settings = load_settings(
        config,
        models=models,
        horizon_seconds=parse_duration(horizon) if horizon else None,
        forecast_delay_seconds=parse_duration(delay) if delay else None,
        minimum_observed=minimum_observed,
        partitions=partitions,
        alert_rules=alert_rules,
    )
    if alerts is not None and settings.alert_rules is None:
        raise UserError("--alerts needs rules: give --alert-rules FILE; deploy/alerts/rules.toml is one to begin with")
    rules = None
    if alerts is not None and settings.alert_rules is not None:
        rules = load_rules(settings.alert_rules, settings.horizon_seconds, settings.models_dir)
    service = load_service(settings)
    counts = RunCounts()
    started = perf_counter()
    with ExitStack() as files, counting("events", "forecasts") as tick:
        write_score = files.enter_context(atomic_file(scores)) if scores is not None else None
        events = ordered(read_events(file), in_order=in_order, fold_seconds=parse_duration(fold) if fold else None)
        on_score = (lambda record: write_score(encode_record(record))) if write_score is not None else None
        write_alert = files.enter_context(atomic_file(alerts)) if alerts is not None else None
        on_alert = (lambda record: write_alert(encode_record(record))) if write_alert is not None else None
        records = forecast_events(
            tick.through("events", events), settings, service, counts, on_score=on_score, rules=rules, on_alert=on_alert
        )
        lines = (encode_record(record) for record in tick.through("forecasts", records))
        if output is None:
            write = sys.stdout.buffer.write
            for line in lines:
                write(line + b"\n")
            sys.stdout.buffer.flush()
        else:
            atomic_lines(output, lines)
    if json:
        print_result(
            "forecast",
            perf_counter() - started,
            [
                {
                    "fates": {fate.value: number for fate, number in counts.fates.items()},
                    "due": counts.due,
                    "made": counts.made,
                    "skipped": {reason.value: number for reason, number in counts.skipped.items()},
                    "published": dict(counts.published),
                    "failed": dict(counts.failed),
                    "scored": dict(counts.scored),
                    "alerts": dict(counts.alerts),
                }
            ],
        )
