"""The benchmark of AutoCas measures what it says."""

from __future__ import annotations

from streams.bench.autocas import run


def test_rows_are_whole_and_positive() -> None:
    end_to_end, roll_out = run(batch=4)
    assert end_to_end["name"] == "autocas end to end"
    assert end_to_end["value"] > 0
    assert roll_out["reference_value"] > 0
    assert roll_out["ratio"] > 0
