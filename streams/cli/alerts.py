"""``cascadecast alerts``: check rules, try them on a recorded stream, tell people."""

from __future__ import annotations

import importlib
from typing import Final

import typer

COMMAND_MODULES: Final = ("alert_check", "alert_trial", "alert_delivery")
"""In the order in which ``--help`` shows them; each adds its command to the group."""


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(help="Alerts on posts that go viral: rules, trials, and where alerts go.", no_args_is_help=True)

    @group.callback()
    def alerts() -> None:
        """Alerts on posts that go viral: rules, trials, and where alerts go."""

    for name in COMMAND_MODULES:
        importlib.import_module(f"streams.cli.{name}").register(group)
    app.add_typer(group, name="alerts")
