"""``cascadecast state``: look into the durable state."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(help="Look into the durable state of the workers.", no_args_is_help=True)
    group.command("export")(export)
    app.add_typer(group, name="state")


def export(
    bootstrap_servers: Annotated[
        str | None,
        typer.Option(help="Kafka: host:port, comma-separated. [env CASCADECAST_BOOTSTRAP_SERVERS]"),
    ] = None,
    app_id: Annotated[str | None, typer.Option(help="The workers' app id. [env CASCADECAST_APP_ID]")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write here instead of standard output.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file of settings.", exists=True, dir_okay=False)] = None,
) -> None:
    """List every live cascade (size, depth, users), read from the changelog as a recovering worker would."""
    import msgspec

    from streams.cli.output import atomic_lines
    from streams.cli.progress import counting
    from streams.settings import load_settings
    from streams.state_export import export_state

    settings = load_settings(config, bootstrap_servers=bootstrap_servers, app_id=app_id)
    with counting("cascades") as tick:
        lines = (msgspec.json.encode(state) for state in tick.through("cascades", export_state(settings)))
        if output is not None:
            atomic_lines(output, lines)
            return
        for line in lines:
            sys.stdout.buffer.write(line + b"\n")
