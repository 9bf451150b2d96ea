"""``cascadecast train MODEL``: a new version in the model store."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("train")(train)


def train(
    model: Annotated[str, typer.Argument(help="mean, log-linear, ridge, lightgbm, seismic, hawkes, concat.")],
    data: Annotated[Path, typer.Option(help="Event file with whole cascades (JSONL, plain, .gz or .zst).")],
    observe: Annotated[
        str | None, typer.Option(help="Train for these ages only, such as 1h.  [default: rolling, any age]")
    ] = None,
    rolling: Annotated[
        bool, typer.Option("--rolling", help="Train for any age; the default without --observe.")
    ] = False,
    horizon: Annotated[str, typer.Option(help="Age at which popularity is forecast.")] = "24h",
    split: Annotated[str, typer.Option(help="random or time: how the test part is chosen.")] = "random",
    seed: Annotated[int, typer.Option(min=0, help="Of the split, the cuts and the training.")] = 0,
    epochs: Annotated[int | None, typer.Option(min=1, help="At most so many epochs for neural models.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from where an interrupted run stopped.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Model store.  [default: $CASCADECAST_MODELS_DIR or ./models]")
    ] = None,
    version: Annotated[str | None, typer.Option(help="Name of the version.  [default: the next number]")] = None,
    max_cascades: Annotated[int | None, typer.Option(min=1, help="Use the first N cascades of the file.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Fit a model, stop by the validation part, measure it on the test part and store it with a card that
    says so."""
    from forecasters.dataset import data_hash, split_kind
    from forecasters.model_store import ModelStore, user_store_directory
    from forecasters.registry import forecaster_class
    from forecasters.training import TrainingPlan, train_version
    from graph.durations import parse_duration
    from graph.errors import UserError
    from streams.cli.cascade_files import load_cascades
    from streams.cli.results import print_result

    forecaster_class(model)
    if rolling and observe is not None:
        raise UserError("--rolling trains for any age, --observe for given ones; leave one of them out")
    ages = () if observe is None else tuple(parse_duration(part) for part in observe.split(","))
    horizon_seconds = parse_duration(horizon)
    if ages and max(ages) >= horizon_seconds:
        raise UserError(f"--observe {observe}: every age must be below --horizon {horizon}")
    plan = TrainingPlan(model, horizon_seconds, ages, split_kind(split), seed, epochs)
    store = ModelStore(output or user_store_directory())
    began = time.perf_counter()
    cascades = load_cascades([data], max_cascades)
    with _epochs() as progress:
        stored, results = train_version(
            cascades,
            plan,
            store,
            data=data.name,
            data_hash=data_hash([data]),
            version=version,
            resume=resume,
            progress=progress,
        )
    row = {"model": stored.name, "model_version": stored.version, "directory": str(stored.directory), **results}
    if json:
        print_result("train", time.perf_counter() - began, [row])
        return
    typer.echo(f"{stored.name} {stored.version} is in {stored.directory}")
    typer.echo(
        f"test MSLE {results['msle']:.3f}, coverage {results['coverage']:.2f}, fitted in {results['fit_seconds']} s"
    )
    if "champion" not in stored.aliases:
        typer.echo(f"to use it: cascadecast models promote {stored.name} {stored.version}")


@contextmanager
def _epochs() -> Iterator[Callable[[Any], None] | None]:
    """A bar of epochs on a terminal; None in a pipe."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("training", total=None)

        def update(epoch: Any) -> None:
            text = f"epoch {epoch.number}, validation MSLE {epoch.validation_msle:.3f} (best {epoch.best_msle:.3f})"
            shown.update(task, completed=epoch.number, total=epoch.of, description=text)

        yield update
