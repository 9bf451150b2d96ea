"""``cascadecast doctor``: what is missing on this machine, and how to mend it."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Annotated

import typer

from streams.kafka.clients import BOOTSTRAP_ENV


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor(
    bootstrap_servers: Annotated[
        str | None,
        typer.Option("--bootstrap-servers", envvar=BOOTSTRAP_ENV, help="Also ask whether this Kafka answers."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Examine this machine; exit code 1 when something that is needed is missing."""
    from streams.doctor import Verdict, examine

    began = time.monotonic()
    findings = examine(bootstrap_servers)
    missing = [finding for finding in findings if finding.verdict is Verdict.MISSING]
    if json:
        from streams.cli.results import print_result

        print_result("doctor", time.monotonic() - began, [asdict(finding) for finding in findings])
    else:
        from rich import box
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table

        table = Table("check", "", box=box.SIMPLE)
        table.add_column("found", overflow="fold")
        table.add_column("mend", overflow="fold")
        colours = {Verdict.OK: "green", Verdict.NOTE: "yellow", Verdict.MISSING: "red"}
        for one in findings:
            colour = colours[one.verdict]
            table.add_row(one.check, f"[{colour}]{one.verdict}[/]", escape(one.found), escape(one.mend))
        Console().print(table)
        for one in missing:  # once more: in the table a narrow terminal breaks a command in its midst
            typer.echo(f"{one.check}: {one.mend}")
        typer.echo(f"{len(missing)} of {len(findings)} checks found something missing" if missing else "all is well")
    if missing:
        raise typer.Exit(1)
