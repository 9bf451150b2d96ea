"""The records a worker publishes: their schemas, ids and rounding."""

from __future__ import annotations

import math
from typing import Final

import msgspec
import xxhash

SCHEMA_VERSION: Final = 1

SIGNIFICANT_DIGITS: Final = 6
"""Batched arithmetic may differ in the last bits of a float; six digits are beyond any forecast's accuracy."""


class ForecastRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One forecast on ``social.forecasts``. Times are event time; sizes are reshares at the horizon."""

    v: int = SCHEMA_VERSION
    id: str
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
    trajectory: list[tuple[float, float]]
    growth_per_hour: float
    event: str


def forecast_id(cascade: str, as_of: float, horizon_seconds: float, model: str, model_version: str) -> str:
    """The same forecast has the same id in every run, so that a consumer can drop a repeat.

    128 bits of xxh3 over the parts, separated by a byte no id may hold.
    """
    parts = (cascade, repr(as_of), repr(horizon_seconds), model, model_version)
    return xxhash.xxh3_128_hexdigest("\x1f".join(parts).encode())


def rounded(value: float) -> float:
    """Round to `SIGNIFICANT_DIGITS` significant digits."""
    if value == 0.0 or not math.isfinite(value):
        return value
    return round(value, SIGNIFICANT_DIGITS - 1 - math.floor(math.log10(abs(value))))


def published_size(observed: int, increment: float) -> float:
    """The size that is published for an increment forecast on top of ``observed``.

    It is a function of the rounded increment, which is what a kept forecast remembers: so whoever scores a forecast a
    day later arrives at the very number that was published.
    """
    return rounded(observed + rounded(increment))


encode_record: Final = msgspec.json.Encoder().encode


def forecast_schema() -> dict[str, object]:
    """JSON Schema (draft 2020-12) of the forecasts topic."""
    schema = msgspec.json.schema(ForecastRecord)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "social.forecasts", **schema}
