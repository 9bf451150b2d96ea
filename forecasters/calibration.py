"""A stored version with intervals calibrated anew: on posts of one's own, or after the procedure has changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from forecasters.cards import files_table
from forecasters.dataset import DatasetError, increments, rolling_cases
from forecasters.fitting import scores_on
from forecasters.folds import MIN_CASES
from forecasters.model_store import ModelStore, StoredModel
from forecasters.platform_votes import examples_in_turn
from forecasters.training_plan import DataFile
from graph import Cascade
from graph.durations import format_duration
from graph.errors import UserError


def calibrated_version(
    model: StoredModel,
    cascades: Sequence[Cascade],
    store: ModelStore,
    *,
    files: Sequence[DataFile],
    horizon_seconds: float,
    version: str | None = None,
    seed: int = 0,
) -> tuple[StoredModel, dict[str, Any]]:
    """Publish ``model`` with intervals from random ages of ``cascades``, which it must not have been trained on.

    Forecasts stay as they are. Returns the new version, and how many cases there were with the coverage before. Raises
    `UserError` where a file is one of those that the model was trained on, `DatasetError` for too few cascades.
    """
    _must_be_new(model, files)
    cases = rolling_cases(cascades, horizon_seconds, seed=seed)
    found = len({case.graph.id for case in cases})
    if found < MIN_CASES:
        raise DatasetError(f"only {found} of {len(cascades)} cascades have a reshare, {MIN_CASES} are needed")
    forecaster = model.load()
    before = scores_on(forecaster, cases)
    forecaster.calibrate(examples_in_turn(forecaster, cases), increments(cases))
    record = {
        "of_version": model.version,
        "data": [file.record() for file in files],
        "horizon_seconds": horizon_seconds,
        "seed": seed,
        "cascades": found,
        "cases": len(cases),
        "coverage_before": round(before["coverage"], 4),
        "command": _command(model, files, horizon_seconds, seed),
    }
    training = dict(model.config().get("training") or {}) | {"calibration": record}
    stored = store.publish(forecaster, version=version, training=training, card=_card(model, record))
    return stored, record


def _must_be_new(model: StoredModel, files: Sequence[DataFile]) -> None:
    seen = model.trained_on()
    for file in files:
        if file.xxh3_128 in seen:
            raise UserError(
                f"{file.name}: {model.name} {model.version} was trained on this file, and on posts that it knows "
                "its intervals would come out too narrow; give others"
            )


def _command(model: StoredModel, files: Sequence[DataFile], horizon_seconds: float, seed: int) -> str:
    named = " ".join(f"--data {file.name}" for file in files)
    horizon = format_duration(horizon_seconds)
    return f"cascadecast models calibrate {model.name}@{model.version} {named} --horizon {horizon} --seed {seed}"


def _card(model: StoredModel, record: dict[str, Any]) -> str:
    return (
        f"{model.card().rstrip()}\n\n## Intervals calibrated anew\n\n"
        f"Forecasts are those of version {record['of_version']}. Its intervals covered "
        f"{100 * record['coverage_before']:.1f} % of {record['cases']:,} cases (random ages of {record['cascades']:,} "
        "cascades) of the posts below; they were then calibrated on these, which the model was not fitted to.\n\n"
        f"{files_table(record['data'])}\n\n```\n{record['command']}\n```\n"
    )
