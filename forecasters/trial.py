"""A forecaster is tried on a few cascades before its word counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from forecasters.base import Example, Forecaster, Forecasts
from forecasters.errors import ModelStoreError
from graph import Cascade, Event, Kind

START: Final = 1_700_000_000.0


def try_out(forecaster: Forecaster, horizon_seconds: float) -> None:
    """Forecast a lone post, a small star and a deep, busy cascade at several ages.

    Raises `ModelStoreError` naming the version when a forecast cannot be made or breaks the contract.
    """
    who = f"{forecaster.name} {forecaster.version}"
    try:
        examples = [
            forecaster.prepare(cascade, START + age, horizon_seconds)
            for cascade in (_cascade("lone", 0, 1), _cascade("star", 20, 1), _cascade("deep", 150, 7))
            for age in (0.01 * horizon_seconds, 0.5 * horizon_seconds)
        ]
        said = forecaster.forecast(examples)
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise ModelStoreError(f"{who} failed its trial forecast: {reason}") from error
    if broken := _broken_promise(said, examples):
        raise ModelStoreError(f"{who} failed its trial forecast: {broken}")


def _cascade(name: str, reshares: int, depth: int) -> Cascade:
    """Reshares over the first minutes and, ever thinner, hours; each hangs ``depth`` below the root at most."""
    cascade = Cascade(name)
    cascade.apply(Event(id=name, cascade=name, kind=Kind.POST, time=START, user="author", followers=1000))
    for number in range(reshares):
        parent = name if number % depth == 0 else f"{name}/{number - 1}"
        time = START + 5.0 * (number + 1) ** 1.5
        cascade.apply(
            Event(id=f"{name}/{number}", cascade=name, kind=Kind.REPOST, time=time, user=f"u{number}", parent=parent)
        )
    return cascade


def _broken_promise(said: Forecasts, examples: Sequence[Example]) -> str | None:
    """What of the contract of `Forecaster` the answer breaks; None when it keeps all of it."""
    columns = {name: np.asarray(getattr(said, name)) for name in ("increment", "low", "high")}
    for name, values in columns.items():
        if values.shape != (len(examples),):
            return f"{name} has shape {values.shape} for {len(examples)} cascades"
        if not (np.isfinite(values).all() and (values >= 0.0).all()):
            return f"{name} is not finite or negative: {values.tolist()}"
    low, increment, high = columns["low"], columns["increment"], columns["high"]
    if not ((low <= increment).all() and (increment <= high).all()):
        return "low <= expected <= high does not hold"
    curve = np.asarray(said.trajectory_increments)
    if curve.ndim != 2 or not np.isfinite(curve).all() or (np.diff(curve, axis=1) < 0.0).any():
        return "a trajectory falls or is not finite"
    if not all(
        math.isclose(end, whole, rel_tol=1e-6, abs_tol=1e-6) for end, whole in zip(curve[:, -1], increment, strict=True)
    ):
        return "a trajectory does not end in the expected size"
    return None
