"""``cascadecast models calibrate NAME``: the intervals of a stored model for one's own posts."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer


def calibrate(
    model: Annotated[str, typer.Argument(help="name, name@version or name@alias, own or shipped.")],
    data: Annotated[
        list[Path],
        typer.Option(help="Event file with whole cascades that the model was not trained on. May be given again."),
    ],
    horizon: Annotated[str, typer.Option(help="Age at which popularity is forecast.")] = "24h",
    seed: Annotated[int, typer.Option(min=0, help="Of the random ages at which the cascades are cut.")] = 0,
    version: Annotated[str | None, typer.Option(help="Name of the new version.  [default: the next number]")] = None,
    max_cascades: Annotated[int | None, typer.Option(min=1, help="Use the first N cascades of each file.")] = None,
    store: Annotated[
        Path | None, typer.Option("--store", help="Model store.  [default: $CASCADECAST_MODELS_DIR or ./models]")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Store a model once more with its intervals calibrated on these posts; its forecasts stay as they are.

    A shipped model's intervals are right for posts like those it was calibrated on. Given some hundred of your own they
    are right from the first day on. In a stream they go on following the scores either way.
    """
    from forecasters.calibration import calibrated_version
    from forecasters.errors import ModelStoreError
    from forecasters.model_lookup import find_model, user_store_directory
    from forecasters.model_store import ModelStore
    from graph.durations import parse_duration
    from streams.cli.cascade_files import load_data_files
    from streams.cli.results import print_result

    began = time.perf_counter()
    found = find_model(model, store)
    if found is None:
        raise ModelStoreError(f"{model} has no stored version; 'cascadecast train {model} --data FILE' makes one")
    cascades, files = load_data_files(data, max_cascades)
    stored, record = calibrated_version(
        found,
        cascades,
        ModelStore(store or user_store_directory()),
        files=files,
        horizon_seconds=parse_duration(horizon),
        version=version,
        seed=seed,
    )
    if json:
        row = {"model": stored.name, "model_version": stored.version, "directory": str(stored.directory), **record}
        print_result("models calibrate", time.perf_counter() - began, [row])
        return
    typer.echo(f"{stored.name} {stored.version} is in {stored.directory}")
    typer.echo(f"{record['cases']} cases; the intervals before covered {100 * record['coverage_before']:.1f} % of them")
    if "champion" not in stored.aliases:
        typer.echo(f"to use it: cascadecast models promote {stored.name} {stored.version}")
