"""How models stand: the same however truths are grouped and stored; partitions add up."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasters.learning_ages import bucket_of
from forecasters.rivals import LEAST_CASES
from streams.scoring.kept import Kept, Panel, Truth, Values
from streams.scoring.learned import Learned
from streams.scoring.scores import verdicts
from streams.scoring.standing import Standing, together

DAY = 86_400.0
PANEL = Panel(("blend@2", "good@1", "bad@1"), (True, True, False), ((0, (1, 2)),))
AGES = (320.0, 640.0, 1300.0, 4000.0)


def truths(seed: int, cascades: int, shift_at: int | None = None) -> list[Truth]:
    """Four forecasts a cascade, as they mature; from ``shift_at`` on posts grow four times as large."""
    rng = random.Random(seed)
    found = []
    for number in range(cascades):
        matures = 1.7e9 + 600.0 * number
        growth = 2.0 ** rng.gauss(5.0, 1.0) * (4.0 if shift_at is not None and number >= shift_at else 1.0)
        for age in AGES:
            good = growth_said = 2.0 ** rng.gauss(5.0, 0.5)
            said = [(good, 4.0, 200.0, 4.0, 200.0), (growth_said, 4.0, 200.0, 4.0, 200.0), (4000.0, 1.0, 9e4, 1.0, 9e4)]
            kept = Kept.of(f"c{number}", matures - DAY + age, matures, age, 3, PANEL, [Values(*one) for one in said])
            found.append(Truth(kept, 3 + int(growth)))
    return found


@given(st.integers(0, 100), st.lists(st.integers(0, 80), max_size=5))
def test_grouping_and_storing_change_nothing(seed: int, cuts: list[int]) -> None:
    some = truths(seed, 20)
    whole, parts = Learned().after(some), Learned()
    edges = [0, *sorted(cuts), len(some)]
    for start, end in pairwise(edges):
        if end > start:
            parts = Learned.restore(parts.after(some[start:end]).snapshot())
    assert parts.snapshot() == whole.snapshot()


def test_last_scores_count_every_score_and_comparisons_a_cascade_once_an_age() -> None:
    some = truths(1, 50)
    standing = Standing().after(some)
    errors = np.array([next(v.log_error for v in verdicts(t) if v.model == "good@1") for t in some])
    early = bucket_of(np.array([t.kept.age_seconds for t in some])) == 1
    assert standing.rolling["good@1"].figures(1)["bias"] == pytest.approx(errors[early].mean(), abs=0.05)
    assert early.sum() == 100
    found = standing.rivals.difference("blend@2", "bad@1", 1)
    assert found is not None
    assert found.cases == 50
    assert set(standing.rolling) == {"blend@2", "good@1"}, "an expert is compared with, not scored"


def test_a_change_of_the_growth_law_is_found_at_every_age_and_only_then() -> None:
    before, whole = Standing().after(truths(2, 600)), Standing().after(truths(2, 900, shift_at=600))
    assert {watch.detections for watch in before.drift.values()} == {0}
    for (model, _), watch in whole.drift.items():
        assert watch.detections == 1, model
        assert 1.7e9 + 600 * 600.0 < watch.last_at < 1.7e9 + 600 * 780.0
        assert watch.mean < watch.mean_before - 1.0


def test_partitions_together_are_one_stream() -> None:
    parts = [truths(3, 150), truths(4, 160)]
    both = together(Standing().after(part) for part in parts)
    found = both.rivals.difference("blend@2", "bad@1", 3)
    assert found is not None
    assert found.cases == 310 > LEAST_CASES > 160
    assert found.high < 0, "it takes both to be sure"
    shifted = [Standing().after(truths(seed, 900, shift_at=600)) for seed in (5, 6)]
    watch = together(shifted).drift["blend@2", 1]
    assert watch.detections == 2
    assert watch.last_at == max(one.drift["blend@2", 1].last_at for one in shifted)


def test_models_that_are_forgotten_leave_nothing() -> None:
    standing = Standing().after(truths(7, 10)).of(["good@1"])
    assert set(standing.rolling) == {"good@1"}
    assert {model for model, _ in standing.drift} == {"good@1"}
    assert standing.rivals.pairs == {}
