"""``cascadecast replay FILE``: publish an event file to Kafka."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.kafka.clients import BOOTSTRAP_ENV, FALLBACK_BOOTSTRAP_SERVERS, PREFIX_ENV

if TYPE_CHECKING:
    from streams.replay.publishing import ReplaySummary

Observers = tuple[Callable[[int, float], None], Callable[[int, int | None], None]]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("replay")(replay_file)


def replay_file(
    file: Annotated[str, typer.Argument(help="Event file: JSONL, plain, .gz or .zst; - for standard input.")],
    bootstrap_servers: Annotated[
        str, typer.Option("--bootstrap-servers", envvar=BOOTSTRAP_ENV, help="The Kafka cluster.")
    ] = FALLBACK_BOOTSTRAP_SERVERS,
    topic_prefix: Annotated[str, typer.Option(envvar=PREFIX_ENV, help="First part of the topics' names.")] = "social",
    speed: Annotated[str, typer.Option(help="Event seconds a second: 1, 100 ... or max.")] = "max",
    fold: Annotated[str | None, typer.Option(help="Lay the cascades over one period, such as 24h.")] = None,
    in_order: Annotated[bool, typer.Option("--in-order", help="The file is ordered by event time already.")] = False,
    limit: Annotated[int | None, typer.Option(min=0, help="Send at most so many records.")] = None,
    drain: Annotated[
        str, typer.Option(help="How far past the last event the end-of-stream marker lies; 0 for none.")
    ] = "3600",
    raw: Annotated[
        bool,
        typer.Option(
            "--raw",
            help="Send each line as it stands, valid or not, in the file's order; --speed paces those with a time.",
        ),
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where the last run with --resume was cut off.")
    ] = False,
    position: Annotated[
        Path | None, typer.Option(help="The position file of --resume.  [default: beside FILE]")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Publish an event file to the events topic, ordered by event time."""
    from streams.cli.signals import stopping_on_signals
    from streams.replay.publishing import ReplayPlan, replay

    if resume and position is None and file != "-":
        position = Path(f"{file}.{topic_prefix}.position")
    plan = ReplayPlan(
        source=file,
        bootstrap_servers=bootstrap_servers,
        prefix=topic_prefix,
        speed=_speed(speed),
        fold_seconds=_seconds(fold) if fold is not None else None,
        in_order=in_order,
        limit=limit,
        raw=raw,
        drain_seconds=_seconds(drain),
        position=(position or Path("-")) if resume else None,
    )
    with stopping_on_signals() as (stop, received), _shown() as (progress, reading):
        summary = replay(plan, stop=stop, progress=progress, reading=reading)
    _report(summary, plan.topic, json)
    if summary.interrupted and received:
        raise typer.Exit(128 + received[0])


def _speed(text: str) -> float:
    from streams.replay.publishing import ReplayError

    try:
        return math.inf if text == "max" else float(text)
    except ValueError:
        raise ReplayError(f"speed {text!r} is neither a number nor max") from None


def _seconds(text: str) -> float:
    from graph.durations import parse_duration

    return 0.0 if text.strip() == "0" else parse_duration(text)


@contextmanager
def _shown() -> Iterator[Observers]:
    """Two bars on a terminal: bytes read, then records published; nothing in a pipe."""
    if not sys.stderr.isatty():
        yield (lambda sent, event_time: None), (lambda done, total: None)
        return
    from datetime import UTC, datetime

    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[told]}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        read = bars.add_task("reading", total=None, told="")
        published = bars.add_task("publishing", total=None, told="")

        def reading(done: int, total: int | None) -> None:
            bars.update(read, completed=done, total=total, told=f"{done / 1e6:,.1f} MB")

        def progress(sent: int, event_time: float) -> None:
            when = "" if math.isnan(event_time) else f", at {datetime.fromtimestamp(event_time, UTC):%Y-%m-%d %H:%M:%S}"
            bars.update(published, completed=sent, told=f"{sent:,} records{when}")

        yield progress, reading


def _report(summary: ReplaySummary, topic: str, json: bool) -> None:
    rate = round(summary.acknowledged / summary.seconds) if summary.seconds > 0 else 0
    if json:
        from streams.cli.results import print_result

        print_result("replay", summary.seconds, [{"topic": topic, **asdict(summary), "records_per_second": rate}])
        return
    how = "interrupted" if summary.interrupted else "complete" if summary.complete else "limit reached"
    typer.echo(
        f"{how}: {summary.acknowledged:,} records on {topic} in {summary.seconds:.1f} s ({rate:,} a second)"
        + (f", {summary.skipped:,} sent before" if summary.skipped else "")
        + (f", {summary.refused:,} refused as too large" if summary.refused else "")
    )
