"""``cascadecast state``: look into the durable state."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from streams.settings import Settings
    from streams.state.inspection import Inspection

Bootstrap = Annotated[
    str | None, typer.Option(help="Kafka: host:port, comma-separated. [env CASCADECAST_BOOTSTRAP_SERVERS]")
]
AppId = Annotated[str | None, typer.Option(help="The workers' app id. [env CASCADECAST_APP_ID]")]
Config = Annotated[
    Path | None, typer.Option(help="TOML file of settings: the workers' own.", exists=True, dir_okay=False)
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

SHOWN = 20
"""Differences printed; --json has them all."""


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(help="Look into the durable state of the workers.", no_args_is_help=True)
    group.command("export")(export)
    group.command("inspect")(inspect)
    group.command("verify")(verify)
    app.add_typer(group, name="state")


def _settings(bootstrap_servers: str | None, app_id: str | None, config: Path | None, **more: str | None) -> Settings:
    from streams.settings import load_settings

    return load_settings(config, bootstrap_servers=bootstrap_servers, app_id=app_id, **more)


def export(
    bootstrap_servers: Bootstrap = None,
    app_id: AppId = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write here instead of standard output.")
    ] = None,
    config: Config = None,
) -> None:
    """List every live cascade (size, depth, users), read from the changelog as a recovering worker would."""
    import msgspec

    from streams.cli.output import atomic_lines
    from streams.cli.progress import counting
    from streams.state.export import export_state

    settings = _settings(bootstrap_servers, app_id, config)
    with counting("cascades") as tick:
        lines = (msgspec.json.encode(state) for state in tick.through("cascades", export_state(settings)))
        if output is not None:
            atomic_lines(output, lines)
            return
        for line in lines:
            sys.stdout.buffer.write(line + b"\n")


def inspect(
    cascade: Annotated[str, typer.Argument(help="Id of the cascade: its post's id.")],
    bootstrap_servers: Bootstrap = None,
    app_id: AppId = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Tell what is stored of one cascade, and where in the log it lies."""
    import msgspec

    from streams.cli.results import print_result
    from streams.state.inspection import inspect_cascade

    began = time.monotonic()
    found = inspect_cascade(_settings(bootstrap_servers, app_id, config), cascade)
    if json:
        print_result("state inspect", time.monotonic() - began, [msgspec.to_builtins(found)])
        return
    for line in _told(found):
        typer.echo(line)


def _told(found: Inspection) -> list[str]:
    watermark = f"{_time(found.watermark)}; state up to offset {found.next_offset} of partition {found.partition}"
    lines = [
        f"{found.cascade}",
        f"  size {found.size:,}, depth {found.depth}, {found.users:,} users, {found.nodes:,} nodes"
        + (f", {found.binned:,} reshares counted only" if found.binned else ""),
        f"  post      {_time(found.root_time)}" + ("" if found.rooted else " (not seen: the earliest reaction's)"),
        f"  last      {_time(found.last_time)}",
        f"  watermark {watermark}",
        f"  age       {found.age_seconds:,.0f} s; leaves when the watermark passes {_time(found.leaves_at)}",
    ]
    if found.withdrawn_at is not None:
        lines.append(f"  withdrawn {_time(found.withdrawn_at)}")
    lines += [
        f"  forecast to be made as of {_time(waiting.as_of)} (event {waiting.event})" for waiting in found.waiting
    ]
    lines += [
        f"  forecast as of {_time(kept.as_of)} kept until {_time(kept.matures)}: {', '.join(kept.models)}"
        for kept in found.kept
    ]
    lines += [
        f"  stored at offset {place.offset} (epoch {place.epoch}, segment {place.sequence}): {place.bytes:,} bytes"
        for place in found.places
    ]
    return lines


def _time(seconds: float) -> str:
    try:
        return f"{seconds:.3f} ({datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC)"
    except (OverflowError, ValueError):  # no event has come yet
        return str(seconds)


def verify(
    bootstrap_servers: Bootstrap = None,
    app_id: AppId = None,
    topic_prefix: Annotated[str | None, typer.Option(help="First part of the topics' names.")] = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Recompute from the events what the state must be; exit code 1 when a cascade differs.

    Workers may run: each partition is compared as of the offset its state goes up to. Give the workers' settings.
    """
    import msgspec

    from streams.cli.progress import counting
    from streams.cli.results import print_result
    from streams.state.verification import verify_state

    began = time.monotonic()
    settings = _settings(bootstrap_servers, app_id, config, topic_prefix=topic_prefix)
    with counting("records") as tick:
        verdicts = list(verify_state(settings, lambda records: tick.advance("records", records)))
    differences = [difference for verdict in verdicts for difference in verdict.differences]
    if json:
        print_result("state verify", time.monotonic() - began, [msgspec.to_builtins(verdict) for verdict in verdicts])
    else:
        for verdict in verdicts:
            beyond = verdict.beyond_retention
            typer.echo(
                f"partition {verdict.partition}: {verdict.equal:,} of {verdict.cascades:,} cascades as their events "
                f"make them, up to offset {verdict.next_offset:,}"
                + (
                    f"; {beyond:,} not comparable, their events before {verdict.first_offset:,} are gone"
                    if beyond
                    else ""
                )
            )
        for one in differences[:SHOWN]:
            typer.echo(f"differs: {one.cascade} (partition {one.partition}): state {one.state}, events {one.events}")
        if len(differences) > SHOWN:
            typer.echo(f"and {len(differences) - SHOWN} more: --json lists them")
    if differences:
        raise typer.Exit(1)
