"""``cascadecast train ranker``: which posts will be in the top share, as alert rules ask it."""

from __future__ import annotations

import time
from pathlib import Path

import typer


def train_ranker_on(
    data: list[Path],
    horizon: str,
    top: str | None,
    split: str,
    seed: int,
    output: Path | None,
    version: str | None,
    max_cascades: int | None,
    *,
    json: bool,
) -> None:
    """Train, measure and store one; raises `UserError` for what cannot be meant or done."""
    from forecasters.alerting.plan import RANKER_OF_POST, parse_shares
    from forecasters.alerting.ranker_training import RankerPlan, train_ranker
    from forecasters.dataset import split_kind
    from forecasters.gradient_boosting import lightgbm_module
    from forecasters.model_files import checked_name
    from forecasters.model_lookup import user_store_directory
    from forecasters.model_store import ModelStore
    from graph.durations import parse_duration
    from graph.errors import UserError
    from streams.cli.cascade_files import load_data_files
    from streams.cli.progress import progress_bar
    from streams.cli.results import print_result

    lightgbm_module()  # an error now rather than after the reading
    plan = RankerPlan(parse_duration(horizon), parse_shares(top or "1%,5%,10%"), split_kind(split), seed)
    store = ModelStore(output or user_store_directory())
    if version is not None and checked_name(version, "version") in store.versions("ranker"):
        raise UserError(f"{store.root / 'ranker' / version} exists; versions never change, choose another --version")
    began = time.perf_counter()
    cascades, files = load_data_files(data, max_cascades)
    with progress_bar() as progress:
        stored, rows = train_ranker(cascades, plan, store, files=files, version=version, progress=progress)
    if json:
        told = {"model": stored.name, "model_version": stored.version, "directory": str(stored.directory), "rows": rows}
        print_result("train", time.perf_counter() - began, [told])
        return
    typer.echo(f"{stored.name} {stored.version} is in {stored.directory}")
    for row in rows:
        if row["protocol"] == "age" and row["rule"] == RANKER_OF_POST:
            typer.echo(
                f"top {100 * row['top_share']:g} % at {row['observe_seconds'] / 60:g} min: average precision "
                f"{row['average_precision']:.3f}, {row['ratio']:.2f} times the better of count and rate"
            )
    if "champion" not in stored.aliases:
        typer.echo(f"to use it: cascadecast models promote {stored.name} {stored.version}")
