"""The records a worker publishes: their schemas, ids and rounding."""

from __future__ import annotations

import math
from typing import Final

import msgspec
import numpy as np
import xxhash
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SCHEMA_VERSION: Final = 1

SIGNIFICANT_DIGITS: Final = 6
"""Batched arithmetic may differ in the last bits of a float; six digits are beyond any forecast's accuracy."""

MOST_EXACT_POWER: Final = 22
"""Of ten, that a float holds exactly."""


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


def published_sizes(observed: Floats, increments: Floats) -> list[list[float]]:
    """`published_size` of rows (B, P) of increments on top of ``observed`` (B,), to the bit and all at once."""
    found: list[list[float]] = all_rounded(observed[:, None] + all_rounded(increments)).tolist()
    return found


def all_rounded(values: Floats) -> Floats:
    """`rounded` of each value, in their shape and to the bit."""
    sizes = np.abs(values)
    plain = (sizes > 0.0) & np.isfinite(values)
    magnitude = np.floor(np.log10(sizes, where=plain, out=np.zeros(values.shape)))
    return np.where(plain, rounded_to(values, SIGNIFICANT_DIGITS - 1 - magnitude), values)


def rounded_to(values: Floats, digits: Floats | float) -> Floats:
    """What ``round`` makes of finite values with so many digits behind the point, in their shape and to the bit.

    A whole number below 2**53 over a power of ten up to 10**22 is the double nearest to that decimal, as it is what
    ``round`` gives. Only which whole number it is may be in doubt, near a half: there ``round`` is asked itself.
    """
    places = np.broadcast_to(np.asarray(digits, dtype=np.float64), values.shape)
    with np.errstate(invalid="ignore", over="ignore"):
        power = np.power(10.0, np.abs(places))
        scaled = np.where(places < 0.0, values / power, values * power)
        whole = np.rint(scaled)
        found = np.asarray(np.where(places < 0.0, whole * power, whole / power))
        sure = np.abs(np.abs(scaled - whole) - 0.5) > 1e-6 + 1e-15 * np.abs(scaled)
        sure &= (np.abs(whole) < 2.0**53) & (np.abs(places) <= MOST_EXACT_POWER)
    for at in map(tuple, np.argwhere(~sure & np.isfinite(values))):
        found[at] = round(float(values[at]), int(places[at]))
    return found


encode_record: Final = msgspec.json.Encoder().encode


def forecast_schema() -> dict[str, object]:
    """JSON Schema (draft 2020-12) of the forecasts topic."""
    schema = msgspec.json.schema(ForecastRecord)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "social.forecasts", **schema}
