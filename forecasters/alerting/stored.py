"""Rankers in the model store: ``ranker`` (its champion), ``ranker@version``, ``ranker@challenger``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from forecasters.alerting.plan import RANKER
from forecasters.alerting.ranker import AlertRanker
from forecasters.errors import ModelStoreError, UnanswerableError
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


class Trained(Protocol):
    """What a ranker was trained for, and its ``key``, name@version."""

    @property
    def key(self) -> str: ...
    @property
    def horizon_seconds(self) -> float: ...
    @property
    def shares(self) -> tuple[float, ...]: ...


def must_answer(ranker: Trained, horizon_seconds: float | None, shares: Sequence[float] = ()) -> None:
    """Raises `UnanswerableError` for a horizon (None: any will do) or a top share the ranker was not trained for."""
    if horizon_seconds is not None and ranker.horizon_seconds != horizon_seconds:
        theirs, asked = format_duration(ranker.horizon_seconds), format_duration(horizon_seconds)
        raise UnanswerableError(
            f"{ranker.key} was trained for sizes at {theirs}, not at {asked}; name another, or train one with "
            f"--horizon {asked}"
        )
    for share in shares:
        if share not in ranker.shares:
            known = ", ".join(f"{100 * one:g} %" for one in ranker.shares)
            raise UnanswerableError(
                f"{ranker.key} knows the top {known}, not {100 * share:g} %; ask for one of these, or train one with "
                f"--top {100 * share:g}%",
                share,
            )
