"""Put the commands together; turn the user's errors into one line and exit code 2."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Final

import typer

from graph.errors import UserError

COMMAND_MODULES: Final = (
    "demo",
    "worker",
    "forecast",
    "alerts",
    "replay",
    "simulate",
    "import_",
    "train",
    "evaluate",
    "models",
    "state",
    "scores",
    "topics",
    "broker",
    "bench",
    "doctor",
)
"""In the order in which ``--help`` shows them. A module imports what is heavy (torch, Kafka) inside its commands,
so that ``cascadecast --help`` answers at once."""


def build_app() -> typer.Typer:
    """The whole command tree."""
    app = typer.Typer(
        name="cascadecast",
        help="Streaming popularity forecasts for information cascades: Kafka in, rolling forecasts out.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback(invoke_without_command=True)
    def root(
        context: typer.Context,
        version: bool = typer.Option(False, "--version", help="Print the version and exit."),
    ) -> None:
        if version:
            from streams.version import installed_version

            typer.echo(f"cascadecast {installed_version()}")
            raise typer.Exit
        if context.invoked_subcommand is None:
            typer.echo(context.get_help())
            raise typer.Exit

    for name in COMMAND_MODULES:
        importlib.import_module(f"streams.cli.{name}").register(app)
    return app


def main() -> None:
    """Entry point of the console script."""
    try:
        if any(name.startswith("CASCADECAST_") for name in os.environ):
            from streams.settings import check_environment

            check_environment()
        build_app()()
    except UserError as error:
        print(f"cascadecast: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # the reader of our pipe (head, less) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(130)
