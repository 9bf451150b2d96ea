"""``cascadecast alerts test``: what rules would have done on a recorded stream."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

SHOWN = 20
"""Alerts printed; --json and --records have them all."""


def register(group: typer.Typer) -> None:
    """Add the command."""
    group.command("test")(try_rules_on)


def try_rules_on(
    rules: Annotated[Path, typer.Argument(help="TOML file of alert rules.")],
    file: Annotated[str, typer.Argument(help="Event file: JSONL, plain, .gz or .zst; - for standard input.")],
    models: Annotated[
        str, typer.Option(help="Whose forecasts the rules see (the first speaks): name, name@version or name@alias.")
    ] = "trees",
    horizon: Annotated[str | None, typer.Option(help="Age at which popularity is forecast, such as 24h.")] = None,
    delay: Annotated[
        str | None, typer.Option(help="An updated post is forecast within this time, such as 60s.")
    ] = None,
    fold: Annotated[str | None, typer.Option(help="Lay the cascades over one period, such as 24h.")] = None,
    partitions: Annotated[
        int | None, typer.Option(help="As many as the events topic has; each has its part of the cap.")
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes that forecast; as many as cores.")] = None,
    records: Annotated[Path | None, typer.Option(help="Write the alert records here, one JSON object a line.")] = None,
    in_order: Annotated[bool, typer.Option("--in-order", help="The file is ordered by event time already.")] = False,
    config: Annotated[Path | None, typer.Option(help="TOML file of settings.", exists=True, dir_okay=False)] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Play a recorded stream to a file of rules: which posts, when, how early, how many an hour, what was withheld."""
    from graph import read_events
    from graph.durations import parse_duration
    from graph.ordering import ordered
    from streams.alerts.report import report
    from streams.alerts.rule_file import load_rules
    from streams.alerts.trial import try_rules
    from streams.cli.output import atomic_lines
    from streams.cli.progress import counting
    from streams.cli.results import print_result
    from streams.records import encode_record
    from streams.settings import load_settings

    settings = load_settings(
        config,
        models=models,
        horizon_seconds=parse_duration(horizon) if horizon else None,
        forecast_delay_seconds=parse_duration(delay) if delay else None,
        partitions=partitions,
    )
    found = load_rules(rules, settings.horizon_seconds, settings.models_dir)
    started = perf_counter()
    with counting("events") as tick:
        events = ordered(read_events(file), in_order=in_order, fold_seconds=parse_duration(fold) if fold else None)
        trial = try_rules(
            events, settings, found, jobs or os.cpu_count() or 1, lambda count: tick.advance("events", count)
        )
    if records is not None:
        atomic_lines(records, map(encode_record, trial.records))
    result = report(trial, found)
    if json:
        print_result("alerts test", perf_counter() - started, [result])
    else:
        from rich.console import Console

        from streams.cli.tables import PIPE_WIDTH

        # a pipe has no width of its own, and 80 columns would cut the ids
        _show(Console(width=None if sys.stdout.isatty() else PIPE_WIDTH), result)


def _show(console: Console, result: dict[str, Any]) -> None:
    from rich.table import Table

    from streams.demo.wording import age, compact, event_clock, identifier

    columns = ("age", "observed", "expected", "final", "lead")
    rules = Table("rule", "alerts", "posts", *columns, "peak an hour", title="Rules (medians)")
    for row in result["rules"]:
        rules.add_row(
            row["rule"],
            str(row["alerts"]),
            str(row["posts"]),
            _or_dash(row["median_age_seconds"], age),
            *(_or_dash(row[name], compact) for name in ("median_observed", "median_expected", "median_final")),
            _or_dash(row["median_lead_seconds"], _signed),
            str(row["peak_per_hour"]),
        )
    console.print(rules)
    spread = result["per_hour"]
    console.print(
        f"{result['alerts']} alerts of {result['forecasts']:,} forecasts ({result['unasked']:,} more were due, and no "
        f"rule could have made anything of them); an hour: mean {spread['mean']:g}, median "
        f"{spread['median']:g}, 95 % {spread['p95']}, peak {spread['peak']}"
        + (f" at {event_clock(spread['peak_hour'])}" if spread["peak_hour"] is not None else "")
    )
    opened = Table("opened", "rule", "post", *columns, title=f"The first {SHOWN} alerts at most")
    for alert in result["opened"][:SHOWN]:
        opened.add_row(
            event_clock(alert["opened_as_of"]),
            alert["rule"],
            identifier(alert["cascade"], 24),
            age(alert["age_seconds"]),
            compact(alert["observed"]),
            compact(alert["expected"]),
            _or_dash(alert["final"], compact),
            _or_dash(alert["lead_seconds"], _signed),
        )
    if result["opened"]:
        console.print(opened)
    held = Table("rule", "reason", "posts", title="Withheld")
    for row in result["withheld"]:
        held.add_row(row["rule"], row["reason"], str(row["posts"]))
    if result["withheld"]:
        console.print(held)
    console.print("Lead: from the alert to the time at which the post had half of its final size.")


def _or_dash(value: float | None, write: Any) -> str:
    return "-" if value is None else str(write(value))


def _signed(seconds: float) -> str:
    from streams.demo.wording import age

    return age(seconds) if seconds >= 0.0 else f"-{age(-seconds)}"
