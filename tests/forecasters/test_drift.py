"""Drift: a change of the mean error is found soon, a stationary one rarely, and the state is all in the record."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from river.drift import ADWIN

from forecasters.drift import CLOCK, CONFIDENCE, FIRST_SCORES, GRACE, DriftWatch


def errors(seed: int, *parts: tuple[int, float]) -> list[float]:
    """Of Student's t with four degrees, as heavy in the tails as those of cascades; each part with its own mean."""
    rng = np.random.default_rng(seed)
    return [float(mean + 0.85 * value) for count, mean in parts for value in rng.standard_t(4, count)]


def watched(values: list[float], onto: DriftWatch | None = None, start: int = 0) -> DriftWatch:
    return (onto or DriftWatch()).after(values, [float(start + n) for n in range(len(values))])


@pytest.mark.parametrize(("shift", "within"), [(1.0, 180), (-1.0, 180), (0.6, 450)])
def test_a_change_is_found_within_some_hundred_scores_and_told_from_both_sides(shift: float, within: int) -> None:
    for seed in range(10):
        found = watched(errors(seed, (1000, 0.2), (1000, 0.2 + shift)))
        assert found.detections == 1
        assert 1000 < found.last_at < 1000 + within
        assert found.mean_before == pytest.approx(0.2, abs=0.25)
        assert found.mean == pytest.approx(0.2 + shift, abs=0.15)


def test_of_stationary_errors_almost_none_look_like_a_change() -> None:
    assert sum(watched(errors(seed, (2000, 0.3))).detections for seed in range(20)) <= 1


def test_a_change_that_no_operator_would_act_on_is_not_told() -> None:
    assert sum(watched(errors(seed, (3000, 0.0), (3000, 0.1))).detections for seed in range(10)) <= 1


@given(st.integers(0, 1000), st.lists(st.integers(1, 399), max_size=4))
def test_grouping_and_storing_change_nothing(seed: int, cuts: list[int]) -> None:
    values = errors(seed, (200, 0.0), (200, 1.0))
    whole, parts = watched(values), DriftWatch()
    edges = [0, *sorted(cuts), len(values)]
    for start, end in pairwise(edges):
        parts = watched(values[start:end], parts, start) if end > start else parts
        parts = msgspec.msgpack.decode(msgspec.msgpack.encode(parts), type=DriftWatch)
    assert parts == whole


def test_the_window_is_that_of_river() -> None:
    """What is taken from behind river's public class behaves as that class up to its first detection."""
    values = errors(3, (500, 0.0), (300, 2.0))
    public = ADWIN(CONFIDENCE, CLOCK, 5, 30, GRACE)
    place = -1
    while not public.drift_detected:
        place += 1
        public.update(max(-8.0, min(8.0, values[place])))
    assert watched(values[:place]).suspected is None
    assert watched(values[: place + 1]).suspected == pytest.approx(np.mean(values[: place + 1]), abs=1e-9)
    assert watched(values).last_at == place + FIRST_SCORES


def test_a_window_of_another_river_is_begun_anew() -> None:
    known = watched(errors(1, (500, 0.0), (500, 1.5)))
    foreign = msgspec.structs.replace(known, river="0.1", window=b"\x00not of this version")
    onward = watched(errors(2, (100, 1.5)), foreign)
    assert (onward.detections, onward.last_at) == (known.detections, known.last_at)
    assert onward.mean == pytest.approx(1.5, abs=0.4)


def test_memory_grows_with_the_logarithm_of_the_scores() -> None:
    assert len(watched(errors(0, (20_000, 0.0))).window) < 2 * len(watched(errors(0, (500, 0.0))).window) < 4000
