"""``cascadecast scores``: hold the scores of a stream against its events."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streams.cli.progress import Ticker
    from streams.scoring.verification import RecordedPartition, ScoreVerdict
    from streams.settings import Settings

SHOWN = 20
"""Ids printed of each kind; --json has them all."""


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(help="What became of forecasts.", no_args_is_help=True)
    group.callback()(lambda: None)  # a group of one command is a group all the same
    group.command("verify")(verify)
    app.add_typer(group, name="scores")


def verify(
    events: Annotated[
        str | None,
        typer.Option(help="Event file of a run of 'cascadecast forecast'; without it Kafka is read."),
    ] = None,
    forecasts: Annotated[Path | None, typer.Option(help="What the run wrote by --output.", dir_okay=False)] = None,
    scores: Annotated[Path | None, typer.Option(help="What the run wrote by --scores.", dir_okay=False)] = None,
    horizon: Annotated[str | None, typer.Option(help="As given to the run.")] = None,
    delay: Annotated[str | None, typer.Option(help="As given to the run.")] = None,
    fold: Annotated[str | None, typer.Option(help="As given to the run.")] = None,
    partitions: Annotated[int | None, typer.Option(help="As given to the run.")] = None,
    in_order: Annotated[bool, typer.Option("--in-order", help="The file is ordered by event time already.")] = False,
    bootstrap_servers: Annotated[
        str | None, typer.Option(help="Kafka: host:port, comma-separated. [env CASCADECAST_BOOTSTRAP_SERVERS]")
    ] = None,
    app_id: Annotated[str | None, typer.Option(help="The workers' app id. [env CASCADECAST_APP_ID]")] = None,
    topic_prefix: Annotated[str | None, typer.Option(help="First part of the topics' names.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML file of settings: the workers' own.", exists=True, dir_okay=False)
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Recompute every score from the events by dictionaries, and the means by the code of 'evaluate'; exit code 1 when
    one is missing, extra, or differs by more than 1e-9.

    Workers may run: each partition is verified up to its last score. Give the settings the scores were made with.
    """
    from graph.durations import parse_duration
    from streams.cli.progress import counting
    from streams.cli.results import print_result
    from streams.scoring.verification import verify_scores
    from streams.settings import load_settings

    began = time.perf_counter()
    settings = load_settings(
        config,
        horizon_seconds=parse_duration(horizon) if horizon else None,
        forecast_delay_seconds=parse_duration(delay) if delay else None,
        partitions=partitions,
        bootstrap_servers=bootstrap_servers,
        app_id=app_id,
        topic_prefix=topic_prefix,
    )
    with counting("records") as tick:
        recorded = _recorded(events, forecasts, scores, fold, settings, tick, in_order=in_order)
        verdict = verify_scores(recorded, settings)
    if json:
        print_result("scores verify", time.perf_counter() - began, [_row(verdict)])
    else:
        _tell(verdict)
    if not verdict.is_equal:
        raise typer.Exit(1)


def _recorded(
    events: str | None,
    forecasts: Path | None,
    scores: Path | None,
    fold: str | None,
    settings: Settings,
    tick: Ticker,
    *,
    in_order: bool,
) -> Iterable[RecordedPartition]:
    from graph import read_events
    from graph.durations import parse_duration
    from graph.errors import UserError
    from graph.ordering import ordered
    from streams.scoring.sources import recorded_in_files, recorded_in_kafka

    if events is None and forecasts is None and scores is None:
        if fold or in_order:
            raise UserError("--fold and --in-order say how a file is played: name it with --events")
        return recorded_in_kafka(settings, lambda records: tick.advance("records", records))
    if events is None or forecasts is None or scores is None:
        raise UserError("--events, --forecasts and --scores belong to one run: give all three, or none to read Kafka")
    stream = ordered(read_events(events), in_order=in_order, fold_seconds=parse_duration(fold) if fold else None)
    return recorded_in_files(tick.through("records", stream), forecasts, scores, settings)


def _row(verdict: ScoreVerdict) -> dict[str, Any]:
    import msgspec

    row: dict[str, Any] = msgspec.to_builtins(verdict)
    return row


def _tell(verdict: ScoreVerdict) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE)  # fits into 80 columns
    for column in ("model", "version", "age", "n", "MSLE", "bias", "MAPE", "coverage", "difference"):
        table.add_column(column, justify="left" if column in ("model", "version", "age") else "right")
    for one in verdict.groups:
        figures = (f"{value:.3f}" for value in (one.msle, one.bias, one.mape, one.coverage))
        table.add_row(one.model, one.model_version, one.age, str(one.n), *figures, f"{one.difference:.1e}")
    Console().print(table)
    typer.echo(
        f"{verdict.equal:,} of {verdict.scores:,} scores as the events make them; largest difference "
        f"{verdict.largest_difference:.1e}; {verdict.repeats:,} repeats; {verdict.waiting:,} forecasts to be scored yet"
    )
    if verdict.not_comparable:
        typer.echo(f"{verdict.not_comparable:,} not comparable: their events or forecasts are gone")
    for kind in ("differing", "missing", "extra"):
        ids: list[str] = getattr(verdict, kind)
        for one_id in ids[:SHOWN]:
            typer.echo(f"{kind}: {'forecast' if kind == 'missing' else 'score'} {one_id}")
        if len(ids) > SHOWN:
            typer.echo(f"and {len(ids) - SHOWN} more {kind}: --json lists them")
