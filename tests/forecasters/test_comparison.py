"""A model is put beside all baselines on the same held-back cascades, at ages the field reports."""

from __future__ import annotations

import pytest

from forecasters.comparison import compare_at_ages, comparison_table, coverage_table, fixed_ages
from forecasters.dataset import Split, rolling_cases, split_cases
from forecasters.registry import BASELINES
from forecasters.ridge import RidgeForecaster
from tests.forecasters.cascades import random_cascades

HOUR, DAY = 3600.0, 86_400.0


@pytest.fixture(scope="module")
def split() -> Split:
    return split_cases(rolling_cases(random_cascades(80), DAY, per_cascade=2), "random")


def test_every_model_is_judged_on_the_same_held_back_cascades(split: Split) -> None:
    ridge = RidgeForecaster().fit(split.train, split.validation)
    rows = compare_at_ages(ridge, "mine", split, (HOUR, 6 * HOUR), DAY, data="d", any_age=True)
    assert [(row["observe_seconds"], row["model"]) for row in rows] == [
        (age, model) for age in (HOUR, 6 * HOUR) for model in (*BASELINES, "mine")
    ]
    held_back = {case.graph.id for case in split.test}
    assert all(0 < row["n"] <= len(held_back) for row in rows)
    assert {row["reference"] for row in rows} == {"lightgbm"}
    table = comparison_table(rows)
    assert table.count("\n") == 2 + len(rows)
    assert "| 1h | mean |" in table
    assert "| 5m to 15m | " in coverage_table(rows)


def test_a_model_made_for_one_age_has_no_coverage_at_others(split: Split) -> None:
    ridge = RidgeForecaster().fit(split.train, split.validation)
    rows = compare_at_ages(ridge, "ridge", split, (HOUR,), DAY, data="d", any_age=False)
    assert coverage_table(rows) == ""
    assert [row["model"] for row in rows].count("ridge") == 1


def test_ages_suit_the_horizon() -> None:
    assert fixed_ages(DAY) == (600.0, 1800.0, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR)
    assert fixed_ages(32 * DAY) == (HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY)
    assert fixed_ages(HOUR) == (600.0, 1800.0)
