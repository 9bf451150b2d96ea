"""Champion and rival on the same posts: what is told at any time is true with the chance that is claimed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasters.learning_ages import BUCKETS
from forecasters.rivals import ERROR_RATE, LEAST_CASES, TERM_SECONDS, Rivals
from tests.benchmarks.champion import outcome

PANEL = ("a@1", "b@1", "c@1")


def compared(errors: np.ndarray, times: np.ndarray | None = None, onto: Rivals | None = None) -> Rivals:  # type: ignore[type-arg]
    """Of (n, 3) errors; the third model was asked for a blend's sake alone."""
    rivals = onto or Rivals()
    for row, at in zip(errors, np.zeros(len(errors)) if times is None else times, strict=True):
        rivals.add(PANEL, (True, True, False), row.tolist(), 2, float(at))
    return rivals


def test_the_better_one_is_told_from_both_sides_and_experts_count_as_rivals() -> None:
    rng = np.random.default_rng(0)
    base = rng.normal(size=1500)
    found = compared(np.stack([base + rng.normal(0, 0.8, 1500), base, base + rng.normal(0, 0.1, 1500)], axis=1))
    ab, ba, ac = (found.difference(*pair, 2) for pair in (("a@1", "b@1"), ("b@1", "a@1"), ("a@1", "c@1")))
    assert ab is not None
    assert ba is not None
    assert ac is not None
    assert (ab.beaten, ba.beaten, ac.beaten) == (True, False, True)
    assert ab.mean == -ba.mean == pytest.approx(0.64, abs=0.2)
    assert ab.low < ab.mean < ab.high
    assert found.against("a@1") == ["b@1", "c@1"]
    assert found.against("c@1") == ["a@1", "b@1"]
    assert found.difference("a@1", "b@1", 3) is None


def test_looking_after_every_score_one_as_good_is_hardly_ever_called_beaten_and_one_that_is_worse_soon() -> None:
    assert outcome(0.0, 1500, 2000)["beaten"] <= 2 < 1500 * ERROR_RATE * 2
    assert outcome(0.2, 30, 3000)["beaten"] >= 29


def test_before_enough_cases_nothing_is_told() -> None:
    errors = np.tile([3.0, 0.0, 0.0], (LEAST_CASES - 1, 1)) + np.random.default_rng(2).normal(0, 0.1, (199, 3))
    early = compared(errors).difference("a@1", "b@1", 2)
    assert early is not None
    assert early.low > 0
    assert not early.beaten


def test_what_is_shown_rests_on_one_to_two_weeks() -> None:
    """A champion that was the worse of the two for long and is the better now is not called beaten for long."""
    n = 4 * 500
    times = np.arange(n) * (4 * TERM_SECONDS / n)
    noise = np.random.default_rng(3).normal(0, 0.3, (n, 3))
    bad, good = noise + np.array([2.0, 1.0, 1.0]), noise + np.array([1.0, 2.0, 1.0])
    rivals = compared(np.concatenate([bad[:1000], good[1000:]]), times)
    last = rivals.difference("a@1", "b@1", 2)
    assert last is not None
    assert last.cases == 1000
    assert last.high < 0
    later = compared(good[:1], np.array([9 * TERM_SECONDS]), rivals).difference("a@1", "b@1", 2)
    assert later is not None
    assert later.cases == 1


@given(st.integers(0, 1000), st.integers(0, 30), st.integers(0, 30))
def test_copies_keep_theirs_and_a_snapshot_is_read_back_to_the_bit(seed: int, first: int, second: int) -> None:
    rng = np.random.default_rng(seed)
    errors, times = rng.normal(size=(first + second, 3)), np.sort(rng.uniform(0, 3 * TERM_SECONDS, first + second))
    whole = compared(errors, times)
    begun = compared(errors[:first], times[:first])
    before = begun.snapshot()
    onward = compared(errors[first:], times[first:], Rivals.restore(begun.snapshot()).copy())
    assert onward.snapshot() == whole.snapshot()
    assert begun.snapshot() == before
    assert whole.of(PANEL).snapshot() == whole.snapshot()
    assert whole.of(("a@1", "b@1")).against("a@1") in ([], ["b@1"])


def test_partitions_add_up_though_their_models_came_in_another_order() -> None:
    rng = np.random.default_rng(4)
    errors = rng.normal(size=(60, 3))
    one, other = compared(errors[:20]), Rivals()
    for row in errors[20:]:
        other.add(PANEL[::-1], (False, True, True), row[::-1].tolist(), 2, 0.0)
    both, whole = (one + other).difference("a@1", "b@1", 2), compared(errors).difference("a@1", "b@1", 2)
    assert both is not None
    assert whole is not None
    assert (both.cases, both.mean, both.high) == pytest.approx((whole.cases, whole.mean, whole.high))
    stale = one + compared(errors[20:21], np.array([5 * TERM_SECONDS]))
    newest = stale.difference("a@1", "b@1", 2)
    assert newest is not None
    assert newest.cases == 1, "a partition that lags weeks behind does not count"


def test_a_snapshot_of_other_buckets_is_refused() -> None:
    snapshot = compared(np.ones((1, 3))).snapshot()
    assert math.isfinite(snapshot["term"])
    with pytest.raises(ValueError, match="do not fit"):
        Rivals.restore({**snapshot, "sums": np.zeros((2, 3, BUCKETS + 1, 3)).tolist()})
