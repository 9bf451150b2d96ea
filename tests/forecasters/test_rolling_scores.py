"""Rolling scores: weighted means, the same however scores are grouped, that add up over partitions."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasters import metrics
from forecasters.learning_ages import BUCKETS
from forecasters.rolling_scores import MEMORY_SCORES, RollingScores

Score = tuple[int, float, float, bool]
scores = st.lists(
    st.tuples(st.integers(0, BUCKETS - 1), st.floats(-8, 8), st.floats(0, 5), st.booleans()), min_size=1, max_size=40
)


def rolled(some: list[Score], onto: RollingScores | None = None) -> RollingScores:
    rolling = copy.copy(onto) if onto else RollingScores()
    rolling.add(*(list(column) for column in zip(*some, strict=True)))  # type: ignore[arg-type]
    return rolling


@given(scores)
def test_they_are_the_weighted_means_of_the_scores_of_an_age(some: list[Score]) -> None:
    rolling = rolled(some)
    for bucket in range(BUCKETS):
        mine = np.array([score[1:] for score in some if score[0] == bucket], dtype=float)
        if not len(mine):
            assert rolling.figures(bucket) == {}
            continue
        weight = (1 - 1 / MEMORY_SCORES) ** np.arange(len(mine))[::-1]
        wanted = {
            "msle": np.average(mine[:, 0] ** 2, weights=weight),
            "bias": np.average(mine[:, 0], weights=weight),
            "mape": np.average(mine[:, 1], weights=weight),
            "coverage": np.average(mine[:, 2], weights=weight),
        }
        assert rolling.figures(bucket) == pytest.approx(wanted, abs=1e-12)
        assert rolling.cases(bucket) == pytest.approx(weight.sum())


@given(scores, st.integers(0, 40))
def test_grouping_changes_nothing_to_the_bit_and_copies_keep_theirs(some: list[Score], cut: int) -> None:
    first = rolled(some[:cut]) if some[:cut] else RollingScores()
    before = first.snapshot()
    both = rolled(some[cut:], first) if some[cut:] else first
    assert both.snapshot() == rolled(some).snapshot()
    assert first.snapshot() == before
    assert RollingScores.restore(both.snapshot()).snapshot() == both.snapshot()


def test_two_partitions_count_as_their_scores_do() -> None:
    rng = np.random.default_rng(0)
    parts = [[(1, float(e), abs(float(e)), e < 0) for e in rng.normal(size=n)] for n in (30, 70)]
    together = rolled(parts[0]) + rolled(parts[1])
    errors = np.array([score[1] for part in parts for score in part])
    weights = np.concatenate([(1 - 1 / MEMORY_SCORES) ** np.arange(len(part))[::-1] for part in parts])
    assert together.figures(1)["msle"] == pytest.approx(np.average(errors**2, weights=weights))


def test_the_errors_are_those_of_the_evaluation() -> None:
    said, true = np.array([3.0, 0.0, 12.0]), np.array([5.0, 2.0, 12.0])
    errors, shares = metrics.log_errors(said, true), metrics.percentage_errors(said, true)
    rolling = RollingScores()
    rolling.add([0] * 3, errors.tolist(), shares.tolist(), [True] * 3)
    assert rolling.figures(0)["bias"] == pytest.approx(metrics.bias(said, true), abs=0.01)
    assert rolling.figures(0)["mape"] == pytest.approx(metrics.mape(said, true), abs=0.01)


def test_a_snapshot_of_other_buckets_is_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        RollingScores.restore([[0.0] * 5])
