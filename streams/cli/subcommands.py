"""A command that is one on its own and has subcommands beside it: ``evaluate`` and ``evaluate alerts``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer
import typer.main
from typer.core import TyperCommand


def command_with(**functions: Callable[..., Any]) -> type[TyperCommand]:
    """The class (``cls``) of a command with these subcommands; a first word that names one of them goes to it.

    A group cannot do it: its own options, needed ones too, are asked for before any subcommand.
    """

    class CommandWithSubcommands(TyperCommand):
        def __init__(self, *args: Any, **settings: Any) -> None:
            super().__init__(*args, **settings)
            self.commands = {name: _command(name, function) for name, function in functions.items()}

        def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
            if args and (found := self.commands.get(args[0])) is not None:
                return found.make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)
            return super().make_context(info_name, args, parent, **extra)

    return CommandWithSubcommands


def _command(name: str, function: Callable[..., Any]) -> Any:
    app = typer.Typer(
        add_completion=False, rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]}
    )
    app.command(name)(function)
    return typer.main.get_command(app)
