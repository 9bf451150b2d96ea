"""``cascadecast alerts deliver``: tell Alertmanager, webhooks and Slack of what is on ``social.alerts``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from streams.alerts.delivery.targets_file import TargetsFile
    from streams.settings import Settings


def register(sub_app: typer.Typer) -> None:
    """Add the command to the group ``alerts``."""
    sub_app.command("deliver")(deliver)


def deliver(
    targets: Annotated[Path, typer.Option(help="TOML file: who is told, and how.")],
    bootstrap_servers: Annotated[
        str | None,
        typer.Option(help="Kafka: host:port, comma-separated. [env CASCADECAST_BOOTSTRAP_SERVERS]"),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be sent now, one JSON object a line, and end.")
    ] = False,
    test: Annotated[
        bool, typer.Option("--test", help="Send one marked test alert to each target, say what came of it, and end.")
    ] = False,
    http_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of /metrics, /healthz and /readyz; not a worker's.")
    ] = 6067,
    config: Annotated[Path | None, typer.Option(help="TOML file of settings.", exists=True, dir_okay=False)] = None,
    log_format: Annotated[str | None, typer.Option(help="json or console.")] = None,
) -> None:
    """Deliver alerts, apart from the workers; SIGTERM ends it in good order.

    With --test the exit code is 1 if a target did not take the alert; Kafka is not needed.
    """
    import asyncio

    from graph.errors import UserError
    from streams.alerts.delivery.targets_file import read_targets
    from streams.logs import configure_logging
    from streams.settings import load_settings

    if dry_run and test:
        raise UserError("--dry-run sends nothing and --test sends a test: give one of them")
    settings = load_settings(config, bootstrap_servers=bootstrap_servers, log_format=log_format)
    settings.http_secret()  # says what is wrong with it before anything is started
    found = read_targets(targets)
    configure_logging(settings.log_level, settings.log_format)
    if test:
        raise typer.Exit(asyncio.run(_test(found, targets)))

    from streams.alerts.delivery.service import alert_partitions
    from streams.alerts.delivery.service import deliver as run

    partitions = alert_partitions(settings)
    if dry_run:
        asyncio.run(_print_preview(settings, targets, found, partitions))
        return
    raise typer.Exit(asyncio.run(run(settings, targets, found, http_port)))


async def _test(found: TargetsFile, file: Path) -> int:
    """Try each target; the exit code."""
    from streams.alerts.delivery.trial import try_targets

    verdicts = await try_targets(found, file)
    for one in verdicts:
        said = f"taken in {one.seconds:.2f} s" if one.failure is None else f"failed: {one.failure}"
        typer.echo(f"{one.target} ({one.type}): {said}")
    return 0 if all(one.failure is None for one in verdicts) else 1


async def _print_preview(settings: Settings, file: Path, found: TargetsFile, partitions: int) -> None:
    import sys

    import msgspec

    from streams.alerts.delivery.preview import preview

    async for request in preview(settings, file, found, partitions):
        sys.stdout.write(msgspec.json.encode(request).decode() + "\n")
