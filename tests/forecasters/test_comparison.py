"""A rolling model is put beside baselines on the same cascades, at ages the field reports."""

from __future__ import annotations

from forecasters.comparison import compare_at_fixed_ages, comparison_table
from forecasters.dataset import rolling_cases, split_cases
from forecasters.ridge import RidgeForecaster
from tests.forecasters.test_concat_forecaster import DAY, simulated


def test_every_model_is_judged_on_the_same_held_back_cascades() -> None:
    split = split_cases(rolling_cases(simulated(60), DAY, per_cascade=2), "random")
    rows = compare_at_fixed_ages(RidgeForecaster().fit(split.train, split.validation), split, DAY)
    held_back = {case.graph.id for case in split.test}
    assert [(row["observe_seconds"], row["model"]) for row in rows[-4:]] == [
        (3600.0, "mean"),
        (3600.0, "log-linear"),
        (3600.0, "ridge"),
        (3600.0, "ridge"),
    ]
    assert {row["n"] for row in rows[-4:]} == {len(held_back)}
    table = comparison_table(rows)
    assert table.count("\n") == 2 + len(rows)
    assert "| 60 min | mean |" in table


def test_an_age_past_the_horizon_is_left_out() -> None:
    split = split_cases(rolling_cases(simulated(30), 3000.0, per_cascade=2), "random")
    rows = compare_at_fixed_ages(RidgeForecaster().fit(split.train, split.validation), split, 3000.0)
    assert all(row["observe_seconds"] == 1800.0 for row in rows)
