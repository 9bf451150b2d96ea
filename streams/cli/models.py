"""``cascadecast models list | show | promote | rollback``: which model speaks."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from forecasters.model_store import StoredModel

Store = Annotated[
    Path | None, typer.Option("--store", help="Model store.  [default: $CASCADECAST_MODELS_DIR or ./models]")
]
Alias = Annotated[str, typer.Option(help="champion or challenger.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(help="The stored models and which of them are in use.", no_args_is_help=True)
    group.command("list")(list_models)
    group.command("show")(show)
    group.command("promote")(promote)
    group.command("rollback")(rollback)
    app.add_typer(group, name="models")


def list_models(store: Store = None, json: Json = False) -> None:
    """List the versions of the store and the shipped ones."""
    from forecasters.model_store import default_stores
    from streams.cli.results import print_result

    began = time.perf_counter()
    found = [
        place.get(name, version)
        for place in default_stores(store)
        for name in place.names()
        for version in place.versions(name)
    ]
    if json:
        print_result("models list", time.perf_counter() - began, [_row(model) for model in found])
        return
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for column in ("model", "version", "aliases", "from"):
        table.add_column(column, overflow="fold")
    for model in found:
        origin = "shipped" if model.shipped else str(model.directory)
        table.add_row(model.name, model.version, ", ".join(model.aliases), origin)
    Console().print(table)


def show(
    model: Annotated[str, typer.Argument(help="name, name@version or name@champion.")],
    store: Store = None,
    json: Json = False,
) -> None:
    """Show a model's card, or with --json its configuration."""
    from forecasters.errors import ModelStoreError
    from forecasters.model_store import find_model
    from forecasters.registry import forecaster_class
    from streams.cli.results import print_result

    began = time.perf_counter()
    found = find_model(model, store)
    if found is None:
        forecaster_class(model)
        raise ModelStoreError(f"{model} has no stored version; 'cascadecast train {model} --data FILE' makes one")
    if json:
        row = _row(found) | {"config": found.config(), "card": found.card()}
        print_result("models show", time.perf_counter() - began, [row])
        return
    typer.echo(f"{found.name} {found.version}  ({found.directory})\n")
    typer.echo(found.card() or "This version has no card.")


def promote(
    name: Annotated[str, typer.Argument(help="The model.")],
    version: Annotated[str, typer.Argument(help="The version that shall speak.")],
    alias: Alias = "champion",
    store: Store = None,
    json: Json = False,
) -> None:
    """Let an alias name a version from now on; a worker loads it when it starts."""
    from forecasters.model_store import ModelStore, user_store_directory

    began = time.perf_counter()
    found = ModelStore(store or user_store_directory()).promote(name, version, alias)
    _tell("models promote", began, found, alias, json)


def rollback(
    name: Annotated[str, typer.Argument(help="The model.")],
    alias: Alias = "champion",
    store: Store = None,
    json: Json = False,
) -> None:
    """Undo the last promotion of an alias."""
    from forecasters.model_store import ModelStore, user_store_directory

    began = time.perf_counter()
    found = ModelStore(store or user_store_directory()).rollback(name, alias)
    _tell("models rollback", began, found, alias, json)


def _tell(command: str, began: float, model: StoredModel, alias: str, json: bool) -> None:
    from streams.cli.results import print_result

    if json:
        print_result(command, time.perf_counter() - began, [_row(model)])
    else:
        typer.echo(f"{model.name}: {alias} is version {model.version}")


def _row(model: StoredModel) -> dict[str, Any]:
    return {
        "model": model.name,
        "model_version": model.version,
        "aliases": list(model.aliases),
        "shipped": model.shipped,
        "directory": str(model.directory),
    }
