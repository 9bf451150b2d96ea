"""The published records."""

from __future__ import annotations

import json
import math
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import streams
from streams.records import (
    ForecastRecord,
    all_rounded,
    encode_record,
    forecast_id,
    forecast_schema,
    published_size,
    published_sizes,
    rounded,
    rounded_to,
)
from streams.scoring.scores import score_schema


def test_fields_come_in_the_documented_order() -> None:
    assert list(ForecastRecord.__struct_fields__) == [
        "v", "id", "cascade", "as_of", "age_seconds", "observed", "horizon_seconds", "model", "model_version",
        "expected", "low", "high", "level", "trajectory", "growth_per_hour", "event",
    ]  # fmt: skip


def test_an_id_depends_on_each_of_its_parts_and_on_nothing_else() -> None:
    parts = ("c", 1.0, 86400.0, "concat", "1")
    ids = {forecast_id(*parts), forecast_id(*parts)}
    assert len(ids) == 1
    for changed in (("d", *parts[1:]), ("c", 2.0, *parts[2:]), (*parts[:2], 3600.0, *parts[3:]), (*parts[:4], "2")):
        ids.add(forecast_id(*changed))
    assert len(ids) == 5


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_rounding_keeps_six_significant_digits(value: float) -> None:
    assert math.isclose(rounded(value), value, rel_tol=5.1e-6, abs_tol=5e-324)
    assert rounded(rounded(value)) == rounded(value)


numbers = st.one_of(
    st.floats(),
    st.integers(0, 10**9).map(float),
    st.integers(0, 10**8).map(lambda thousandths: thousandths / 1000),
    st.integers(0, 10**7).map(lambda halves: (halves + 0.5) / 10),  # where the nearest decimal is in doubt
    st.sampled_from([10.0**power for power in range(-30, 30)]),
)


def same(ours: list[float], theirs: list[float]) -> bool:
    return all(a == b or (math.isnan(a) and math.isnan(b)) for a, b in zip(ours, theirs, strict=True))


@given(st.lists(numbers, min_size=1))
def test_many_numbers_are_rounded_as_each_by_itself(values: list[float]) -> None:
    assert same(all_rounded(np.array(values)).tolist(), [rounded(value) for value in values])


@given(st.lists(numbers.filter(math.isfinite), min_size=1), st.integers(-3, 9))
def test_many_numbers_are_rounded_as_python_rounds(values: list[float], digits: int) -> None:
    assert same(rounded_to(np.array(values), digits).tolist(), [round(value, digits) for value in values])


@given(st.lists(st.tuples(st.integers(0, 10**6), st.floats(0.0, 1e9)), min_size=1))
def test_many_sizes_are_published_as_each_by_itself(cases: list[tuple[int, float]]) -> None:
    observed, increments = np.array(cases).T
    found = published_sizes(observed, increments[:, None])
    assert found == [[published_size(size, increment)] for size, increment in cases]


def test_rounding_is_visible() -> None:
    assert rounded(123456.789) == 123457.0
    assert rounded(0.000123456789) == 0.000123457


def test_the_published_schema_is_current() -> None:
    published = Path(streams.__path__[0]) / "schemas" / "social.forecasts.json"
    assert json.loads(published.read_text()) == json.loads(json.dumps(forecast_schema()))


def test_the_published_schema_of_scores_is_current() -> None:
    published = Path(streams.__path__[0]) / "schemas" / "social.scores.json"
    assert json.loads(published.read_text()) == json.loads(json.dumps(score_schema()))


def test_a_record_survives_the_wire() -> None:
    record = ForecastRecord(
        id="i", cascade="c", as_of=1.5, age_seconds=1.5, observed=3, horizon_seconds=86400.0, model="m",
        model_version="1", expected=6.0, low=4.0, high=9.0, level=0.8, trajectory=[(1.5, 3.0), (86400.0, 6.0)],
        growth_per_hour=0.1, event="e",
    )  # fmt: skip
    assert msgspec.json.decode(encode_record(record), type=ForecastRecord) == record
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"v":1}', type=ForecastRecord)
