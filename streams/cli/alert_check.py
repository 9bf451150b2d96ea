"""``cascadecast alerts check``: whether a file of rules can be meant, and what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(group: typer.Typer) -> None:
    """Add the command."""
    group.command("check")(check)


def check(rules: Annotated[Path, typer.Argument(help="TOML file of alert rules.")]) -> None:
    """Validate a file of rules and say each rule in a sentence."""
    from streams.alerts.explaining import explained, explained_shared
    from streams.alerts.rule_file import load_rules

    found = load_rules(rules)
    for line in (*map(explained, found.rules), *explained_shared(found)):
        typer.echo(line)
    if not found.rules:
        typer.echo("There is no rule: no alert is opened.")
