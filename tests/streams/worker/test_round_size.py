"""Rounds of forecasts are as long as their cost allows."""

from __future__ import annotations

import pytest

from streams.worker.round_size import FEWEST, ROUND_SECONDS, RoundSize


def test_nothing_is_held_back_before_a_round_was_timed() -> None:
    assert RoundSize().limit(512) == 512


@pytest.mark.parametrize("fixed_seconds", [0.0, 0.03, 0.1])
def test_rounds_settle_at_the_time_they_may_take_whatever_part_of_their_cost_is_fixed(fixed_seconds: float) -> None:
    each_seconds, size = 0.003, RoundSize()
    for _ in range(100):
        number = size.limit(512)
        size.took(number, fixed_seconds + each_seconds * number)
    assert fixed_seconds + each_seconds * size.limit(512) == pytest.approx(ROUND_SECONDS, rel=0.05)


def test_a_round_is_never_larger_than_asked_for_and_never_tiny_however_slow_the_models_are() -> None:
    fast, slow = RoundSize(), RoundSize()
    fast.took(100, 1e-6)
    slow.took(1, 10.0)
    assert fast.limit(64) == 64
    assert slow.limit(64) == FEWEST
    assert slow.limit(3) == 3


def test_a_round_without_forecasts_tells_nothing() -> None:
    size = RoundSize()
    size.took(0, 1.0)
    assert size.limit(64) == 64


def test_behind_many_others_a_round_is_a_quarter_of_those_who_wait() -> None:
    size = RoundSize()
    size.took(100, 1.0)
    assert size.limit(512, 40) == FEWEST
    assert size.limit(512, 800) == 200
    assert size.limit(512, 80_000) == 512
