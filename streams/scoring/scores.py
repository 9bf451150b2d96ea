"""Scores: what became of a forecast, on ``social.scores`` once its cascade has reached the horizon."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec
import xxhash

from forecasters.intervals import DEFAULT_LEVEL
from streams.records import forecast_id, published_size
from streams.scoring.kept import Truth

SCORE_VERSION: Final = 1


class ScoreRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One matured forecast of one model. Sizes are reshares at the horizon; errors are of the growth since as_of.

    Errors are functions of the sizes in the same record and are not rounded: recomputed from it, they are the same.
    """

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
    log_error: float
    absolute_percentage_error: float


class Verdict(NamedTuple):
    """What a model's published forecast was worth."""

    model: str  # name@version
    expected: float
    low: float
    high: float
    log_error: float
    absolute_percentage_error: float
    covered: bool


def verdicts(truth: Truth) -> Iterator[Verdict]:
    """Of each model whose forecast was published, in the order of the panel.

    Errors are those of `forecasters.metrics`, of the growth since as_of as published. Where more was undone than was
    added since, the growth is 0, as it is to the models.
    """
    kept, growth = truth.kept, truth.growth
    actual = kept.observed + growth
    for model, published, said in zip(kept.panel.models, kept.panel.published, kept.said(), strict=True):
        if not published:
            continue
        expected, low, high = (
            published_size(kept.observed, number) for number in (said.increment, said.low, said.high)
        )
        grown = expected - kept.observed
        truth_log = math.log2(2.0 + growth)
        yield Verdict(
            model,
            expected,
            low,
            high,
            math.log2(1.0 + grown) - math.log2(1.0 + growth),
            abs(math.log2(2.0 + grown) - truth_log) / truth_log,
            low <= actual <= high,
        )


def score_id(forecast: str) -> str:
    """The same score has the same id in every run, so that a consumer can drop a repeat."""
    return xxhash.xxh3_128_hexdigest(f"score\x1f{forecast}".encode())


def score_records(truth: Truth, horizon_seconds: float) -> Iterator[ScoreRecord]:
    """The scores of all that was published about a cascade at one time."""
    kept = truth.kept
    for verdict in verdicts(truth):
        model, _, version = verdict.model.partition("@")
        forecast = forecast_id(kept.cascade, kept.as_of, horizon_seconds, model, version)
        yield ScoreRecord(
            id=score_id(forecast),
            forecast=forecast,
            cascade=kept.cascade,
            as_of=kept.as_of,
            age_seconds=kept.age_seconds,
            observed=kept.observed,
            horizon_seconds=horizon_seconds,
            model=model,
            model_version=version,
            expected=verdict.expected,
            low=verdict.low,
            high=verdict.high,
            level=DEFAULT_LEVEL,
            actual=truth.size,
            squared_log_error=verdict.log_error**2,
            covered=verdict.covered,
            log_error=verdict.log_error,
            absolute_percentage_error=verdict.absolute_percentage_error,
        )


def score_schema() -> dict[str, object]:
    """JSON Schema (draft 2020-12) of the scores topic."""
    schema = msgspec.json.schema(ScoreRecord)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "social.scores", **schema}
