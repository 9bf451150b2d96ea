"""Champion against challenger: the difference of their errors, and how far chance could move it."""

from __future__ import annotations

import numpy as np
import pytest

from forecasters.dataset import DatasetError, cases, increments
from forecasters.head_to_head import head_to_head
from forecasters.mean import MeanForecaster
from forecasters.metrics import msle
from tests.forecasters.cascades import random_cascades

CASCADES = random_cascades(60)
AGES = (1800.0, 3600.0)


def fitted(seed: int, version: str) -> MeanForecaster:
    model = MeanForecaster().fit(cases(random_cascades(30, seed), 3600.0, 86_400.0), [])
    model.version = version
    return model


def test_a_model_is_no_better_than_itself() -> None:
    for row in head_to_head(fitted(1, "1"), fitted(1, "2"), CASCADES, AGES, 86_400.0):
        assert (row["difference"], row["low"], row["high"], row["better"]) == (0.0, 0.0, 0.0, None)
        assert (row["champion"], row["challenger"]) == ("1", "2")


@pytest.mark.parametrize("swapped", [False, True])
def test_a_model_that_is_far_off_loses_whichever_it_is(swapped: bool) -> None:
    good, bad = fitted(1, "good"), fitted(1, "bad")
    bad.means = np.asarray(bad.means) + 6.0
    first, second = (bad, good) if swapped else (good, bad)
    *by_age, overall = head_to_head(first, second, CASCADES, AGES, 86_400.0)
    assert {row["better"] for row in [*by_age, overall]} == {"challenger" if swapped else "champion"}
    assert all(row["low"] <= row["difference"] <= row["high"] for row in by_age)


def test_errors_are_the_fields_and_the_last_row_is_over_all() -> None:
    champion, challenger = fitted(1, "1"), fitted(2, "2")
    *by_age, overall = head_to_head(champion, challenger, CASCADES, AGES, 86_400.0)
    total = 0.0
    for row, age in zip(by_age, AGES, strict=True):
        some = cases(CASCADES, age, 86_400.0)
        said = champion.forecast([champion.prepare(c.graph, c.as_of, c.horizon_seconds) for c in some])
        assert row["champion_msle"] == pytest.approx(msle(said.increment, increments(some)), abs=1e-6)
        total += row["champion_msle"] * row["n"]
    assert overall["observe_seconds"] is None
    assert overall["n"] == sum(row["n"] for row in by_age)
    assert overall["champion_msle"] == pytest.approx(total / overall["n"], abs=1e-6)


def test_without_cases_there_is_nothing_to_compare() -> None:
    with pytest.raises(DatasetError, match="larger file"):
        head_to_head(fitted(1, "1"), fitted(1, "2"), [], AGES, 86_400.0)
