"""A score is a function of what was published and of the size at the horizon."""

from __future__ import annotations

import math

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from forecasters import metrics
from streams.records import encode_record, published_size, rounded
from streams.scoring.kept import Kept, Panel, Truth, Values
from streams.scoring.scores import ScoreRecord, score_records

amounts = st.floats(0, 1e7)


def truth(observed: int, size: int, *said: tuple[float, float, float], published: tuple[bool, ...] = ()) -> Truth:
    panel = Panel(tuple(f"m{n}@1" for n in range(len(said))), published or (True,) * len(said), ())
    values = [Values(*map(rounded, one), 0.0, 0.0) for one in said]
    return Truth(Kept.of("c", 1000.0, 87_000.0, 400.0, observed, panel, values), size)


@given(st.integers(0, 10**6), st.integers(0, 10**7), amounts, amounts, amounts)
def test_errors_are_those_of_the_evaluation_of_what_was_published(
    observed: int, size: int, a: float, b: float, c: float
) -> None:
    low, increment, high = sorted((a, b, c))
    (record,) = score_records(truth(observed, size, (increment, low, high)), 86_400.0)
    assert (record.low, record.expected, record.high) == tuple(
        published_size(observed, x) for x in (low, increment, high)
    )
    assert record.low <= record.expected <= record.high
    said, grown = record.expected - observed, max(0, record.actual - observed)
    assert math.isclose(record.log_error, metrics.bias([said], [grown]), abs_tol=1e-12)
    assert math.isclose(record.squared_log_error, metrics.msle([said], [grown]), rel_tol=1e-12, abs_tol=1e-12)
    assert math.isclose(record.absolute_percentage_error, metrics.mape([said], [grown]), rel_tol=1e-12, abs_tol=1e-12)
    assert record.covered == (
        metrics.coverage([record.low - observed], [record.high - observed], [float(grown)]) == 1.0
    )


@given(st.integers(0, 10**6), amounts)
def test_what_is_kept_leads_to_the_number_that_was_published(observed: int, increment: float) -> None:
    assert published_size(observed, rounded(increment)) == published_size(observed, increment)


def test_numbers_survive_the_wire_to_the_bit() -> None:
    (record,) = score_records(truth(7, 31, (12.3456789, 1.0, 99.0)), 86_400.0)
    assert msgspec.json.decode(encode_record(record), type=ScoreRecord) == record
    assert record.squared_log_error == record.log_error**2


def test_of_a_post_that_shrank_the_size_is_told_and_growth_counts_as_none() -> None:
    (record,) = score_records(truth(10, 8, (0.0, 0.0, 3.0)), 86_400.0)
    assert record.actual == 8
    assert record.log_error == 0.0
    assert record.covered


def test_an_expert_that_is_not_published_is_not_scored() -> None:
    said = [(1.0, 0.0, 2.0)] * 2
    records = list(score_records(truth(1, 2, *said, published=(False, True)), 86_400.0))
    assert [record.model for record in records] == ["m1"]
