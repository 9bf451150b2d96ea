"""Scores: what became of a forecast, on ``social.scores`` once its cascade has reached the horizon."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import msgspec
import xxhash

from forecasters.intervals import DEFAULT_LEVEL
from streams.learned import Truth
from streams.records import forecast_id, rounded

SCORE_VERSION: Final = 1


class ScoreRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One matured forecast of one model. Sizes are reshares at the horizon; the error is of the growth since as_of."""

    v: int = SCORE_VERSION
    id: str
    forecast: str
    cascade: str
    as_of: float
    age_seconds: float
    observed: int
    horizon_seconds: float
    model: str
    model_version: str
    expected: float
    low: float
    high: float
    level: float
    actual: int
    squared_log_error: float
    covered: bool


def score_records(truth: Truth, horizon_seconds: float) -> Iterator[ScoreRecord]:
    """The scores of all that was published about a cascade at one time."""
    kept, actual = truth
    for name, published, said in zip(kept.panel.models, kept.panel.published, kept.said(), strict=True):
        if not published:
            continue
        model, _, version = name.partition("@")
        forecast = forecast_id(kept.cascade, kept.as_of, horizon_seconds, model, version)
        error = math.log2(1.0 + said.increment) - math.log2(1.0 + actual)
        yield ScoreRecord(
            id=xxhash.xxh3_128_hexdigest(f"score\x1f{forecast}".encode()),
            forecast=forecast,
            cascade=kept.cascade,
            as_of=kept.as_of,
            age_seconds=kept.age_seconds,
            observed=kept.observed,
            horizon_seconds=horizon_seconds,
            model=model,
            model_version=version,
            expected=rounded(kept.observed + said.increment),
            low=rounded(kept.observed + said.low),
            high=rounded(kept.observed + said.high),
            level=DEFAULT_LEVEL,
            actual=kept.observed + int(actual),
            squared_log_error=rounded(error * error),
            covered=said.low <= actual <= said.high,
        )


def score_schema() -> dict[str, object]:
    """JSON Schema (draft 2020-12) of the scores topic."""
    schema = msgspec.json.schema(ScoreRecord)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "social.scores", **schema}
