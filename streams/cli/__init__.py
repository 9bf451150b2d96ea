"""The ``cascadecast`` command: one module a command group, each with a ``register`` function."""

from streams.cli.main import main

__all__ = ["main"]
