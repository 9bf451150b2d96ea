"""``cascadecast alerts``: what is raised, and where it goes."""

from __future__ import annotations

import importlib
from typing import Final

import typer

COMMAND_MODULES: Final = ("alert_delivery",)


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(help="Alerts on posts that go viral, and where they go.", no_args_is_help=True)

    @group.callback()
    def alerts() -> None:
        """Alerts on posts that go viral, and where they go."""

    for name in COMMAND_MODULES:
        importlib.import_module(f"streams.cli.{name}").register(group)
    app.add_typer(group, name="alerts")
