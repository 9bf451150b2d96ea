"""``cascadecast models list | show | promote | rollback | compare | card | calibrate``: which model speaks."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli import model_calibration, model_card, model_comparison

if TYPE_CHECKING:
    from forecasters.model_store import StoredModel

Store = Annotated[
    Path | None, typer.Option("--store", help="Model store.  [default: $CASCADECAST_MODELS_DIR or ./models]")
]
Alias = Annotated[str, typer.Option(help="champion or challenger.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

TRIAL_HORIZON_SECONDS = 86_400.0
"""The default of workers; each tries the version again with its own."""


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(help="The stored models and which of them are in use.", no_args_is_help=True)
    group.command("list")(list_models)
    group.command("show")(show)
    group.command("promote")(promote)
    group.command("rollback")(rollback)
    group.command("compare")(model_comparison.compare)
    group.command("card")(model_card.card)
    group.command("calibrate")(model_calibration.calibrate)
    app.add_typer(group, name="models")


def list_models(store: Store = None, json: Json = False) -> None:
    """List the versions of the store and the shipped ones, and what the aliases mean to a worker."""
    from forecasters.model_lookup import default_stores
    from streams.cli.results import print_result

    began = time.perf_counter()
    rows = [
        _row(place.get(name, version), store)
        for place in default_stores(store)
        for name in place.names()
        for version in place.versions(name)
    ]
    if json:
        print_result("models list", time.perf_counter() - began, rows)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for column in ("model", "version", "aliases", "from"):
        table.add_column(column, overflow="fold")
    for row in rows:
        called = ", ".join(f"{alias}{_since(row['effective_from'].get(alias))}" for alias in row["aliases"])
        table.add_row(
            row["model"], row["model_version"], called, "shipped" if row["shipped"] else str(row["directory"])
        )
    Console().print(table)


def show(
    model: Annotated[str, typer.Argument(help="name, name@version or name@champion.")],
    store: Store = None,
    json: Json = False,
) -> None:
    """Show a model's card, or with --json its configuration."""
    from forecasters.alerting.plan import RANKER
    from forecasters.errors import ModelStoreError
    from forecasters.model_lookup import find_model
    from forecasters.registry import forecaster_class
    from streams.cli.results import print_result

    began = time.perf_counter()
    found = find_model(model, store)
    if found is None:
        if model != RANKER:
            forecaster_class(model)
        raise ModelStoreError(f"{model} has no stored version; 'cascadecast train {model} --data FILE' makes one")
    if json:
        row = _row(found, store) | {"config": found.config(), "card": found.card()}
        print_result("models show", time.perf_counter() - began, [row])
        return
    typer.echo(f"{found.name} {found.version}  ({found.directory})\n")
    typer.echo(found.card() or "This version has no card.")


def promote(
    name: Annotated[str, typer.Argument(help="The model.")],
    version: Annotated[str, typer.Argument(help="The version that shall speak, own or shipped; or challenger.")],
    alias: Alias = "champion",
    since: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="EVENT_TIME",
            help="For forecasts as of this event time or later: seconds since 1970, or ISO 8601 with a zone.",
        ),
    ] = None,
    store: Store = None,
    json: Json = False,
) -> None:
    """Let an alias name a version from now on; running workers follow within seconds.

    With --from the switch is at an event time, the same on every worker. The version is tried first.
    """
    from forecasters.alerting.plan import RANKER
    from forecasters.alerting.ranker import AlertRanker
    from forecasters.model_lookup import user_store_directory
    from forecasters.model_store import ModelStore
    from forecasters.trial import try_out
    from graph.errors import UserError

    began = time.perf_counter()
    place = ModelStore(store or user_store_directory())
    when = None if since is None else parse_event_time(since)
    found = place.get(name, version)
    if name != RANKER:
        try_out(found.load(), TRIAL_HORIZON_SECONDS)
    elif when is not None:
        raise UserError("--from is for forecasters; workers follow a ranker when they see the promotion")
    else:
        AlertRanker.load(found.directory)
    _tell("models promote", began, place.promote(name, version, alias, since=when), alias, store, json)


def rollback(
    name: Annotated[str, typer.Argument(help="The model.")],
    alias: Alias = "champion",
    store: Store = None,
    json: Json = False,
) -> None:
    """Undo the last promotion of an alias; running workers follow within seconds."""
    from forecasters.model_lookup import user_store_directory
    from forecasters.model_store import ModelStore
    from streams.cli.results import print_result

    began = time.perf_counter()
    found = ModelStore(store or user_store_directory()).rollback(name, alias)
    if found is not None:
        _tell("models rollback", began, found, alias, store, json)
    elif json:
        print_result("models rollback", time.perf_counter() - began, [])
    else:
        typer.echo(f"{name}: there is no {alias} any more")


def parse_event_time(text: str) -> float:
    """Seconds since 1970 from a number or an ISO 8601 time with a zone; raises `UserError`."""
    from graph.errors import UserError

    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            moment = None
        seconds = moment.timestamp() if moment is not None and moment.utcoffset() is not None else -1.0
    if not 0.0 <= seconds < 253_402_300_800.0:  # the year 10000
        raise UserError(
            f"--from {text}: give an event time as seconds since 1970, or as ISO 8601 with a zone: 2012-09-11T03:34:22Z"
        )
    return seconds


def _tell(command: str, began: float, model: StoredModel, alias: str, store: Path | None, json: bool) -> None:
    from streams.cli.results import print_result

    row = _row(model, store)
    if json:
        print_result(command, time.perf_counter() - began, [row])
    else:
        origin = " (shipped)" if model.shipped else ""
        since = _since(row["effective_from"].get(alias))
        typer.echo(f"{model.name}: {alias} is version {model.version}{origin}{since}")


def _since(seconds: float | None) -> str:
    return "" if seconds is None else f" from {datetime.fromtimestamp(seconds, UTC).isoformat()} on"


def _row(model: StoredModel, store: Path | None) -> dict[str, Any]:
    """A version, the aliases that mean it to a worker, and from which event times on where not for all."""
    from forecasters.model_lookup import find_alias
    from forecasters.promotions import ALIASES

    called = {alias: found for alias in ALIASES if (found := find_alias(model.name, alias, store))}
    mine = {alias: since for alias, (since, found) in called.items() if found.directory == model.directory}
    return {
        "model": model.name,
        "model_version": model.version,
        "aliases": list(mine),
        "effective_from": {alias: since for alias, since in mine.items() if since > float("-inf")},
        "shipped": model.shipped,
        "directory": str(model.directory),
    }
