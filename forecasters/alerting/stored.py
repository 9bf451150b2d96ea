"""Rankers in the model store: ``ranker`` (its champion), ``ranker@version``, ``ranker@challenger``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from forecasters.alerting.plan import RANKER
from forecasters.alerting.ranker import AlertRanker
from forecasters.errors import ModelStoreError
from forecasters.model_lookup import find_model
from forecasters.model_store import StoredModel
from graph.durations import format_duration


def find_ranker(spec: str, directory: Path | None = None) -> StoredModel:
    """The stored ranker that is meant; raises `ModelStoreError` with the mend where there is none, and for a name that
    is no ranker's."""
    if spec.partition("@")[0] != RANKER:
        raise ModelStoreError(f"{spec} is no ranker; name {RANKER} or {RANKER}@version")
    found = find_model(spec, directory)
    if found is None:
        raise ModelStoreError(f"no {RANKER} is stored; 'cascadecast train {RANKER} --data FILE' makes one")
    return found


def load_ranker(spec: str, directory: Path | None = None) -> AlertRanker:
    """Load it; raises `ModelStoreError` as `find_ranker` and for damaged files."""
    found = find_ranker(spec, directory)
    ranker = AlertRanker.load(found.directory)
    ranker.version = found.version
    return ranker


def must_answer(ranker: AlertRanker, horizon_seconds: float, shares: Sequence[float] = ()) -> None:
    """Raises `ModelStoreError` for a horizon or a top share the ranker was not trained for."""
    called = f"{ranker.name}@{ranker.version}"
    if ranker.horizon_seconds != horizon_seconds:
        raise ModelStoreError(
            f"{called} was trained for sizes at {format_duration(ranker.horizon_seconds)}, not at "
            f"{format_duration(horizon_seconds)}; train one with --horizon {format_duration(horizon_seconds)}"
        )
    for share in shares:
        if share not in ranker.shares:
            raise ModelStoreError(
                f"{called} knows the top {', '.join(f'{100 * known:g} %' for known in ranker.shares)}, not "
                f"{100 * share:g} %; train one with --top"
            )
