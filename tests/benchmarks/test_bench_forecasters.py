"""The benchmarks of the forecasters report what they measured, and the two paths agree while they do."""

from __future__ import annotations

import numpy as np

from streams.bench import features_included
from streams.bench.forecasters import run


def test_rows_are_complete_and_the_solvers_agree() -> None:
    said: list[str] = []
    rows = {row["name"]: row for row in run(said.append, batch=3, events=8)}
    assert set(rows) == {
        "concat difference",
        "concat forward",
        "concat forward and backward",
    }
    for row in rows.values():
        assert set(row) == {"name", "value", "unit", "reference", "reference_value", "ratio"}
    assert 0.0 < rows["concat difference"]["value"] < 1e-4
    for name in ("concat forward", "concat forward and backward"):
        assert rows[name]["ratio"] > 0.0
    assert len(said) == 3


def test_both_models_are_measured_with_their_features_and_agree_with_their_reference() -> None:
    rows = {row["name"]: row for row in features_included.run(batch=3, events=12)}
    assert set(rows) == {"concat features included", "casft features included"}
    for row in rows.values():
        assert set(row) == {"name", "value", "unit", "reference", "reference_value", "ratio"}
        assert row["value"] > 0.0
        assert row["ratio"] > 0.0


def test_benchmark_cascades_are_full_trees_in_time_order() -> None:
    for ages, parents in features_included.full_cascades(5, 40):
        assert len(ages) == len(parents) == 40
        assert (np.diff(ages) >= 0.0).all()
        assert parents[0] == -1
        assert (parents[1:] < np.arange(1, 40)).all()
