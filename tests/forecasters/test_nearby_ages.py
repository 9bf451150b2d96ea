"""Further cuts of the training cascades: near the age that is asked for, true, repeatable, and never instead of it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasters.base import Case
from forecasters.dataset import cases, cut
from forecasters.labels import GrowthLabel, LabelledCascade
from forecasters.nearby_ages import FEWEST_EVENTS, with_nearby_ages
from graph import Event, Kind
from tests.forecasters.cascades import cascade_of, random_cascades

DAY = 86_400.0
MANY = 100_000


@pytest.fixture(scope="module")
def hour_cases() -> list[Case]:
    return cases(random_cascades(20), 3600.0, DAY)


def age_of(case: Case) -> float:
    return case.as_of - case.graph.root_time


@settings(max_examples=20)
@given(count=st.integers(0, 6), span=st.floats(1.0, 8.0), seed=st.integers(0, 99))
def test_cuts_are_true_and_near(hour_cases: list[Case], count: int, span: float, seed: int) -> None:
    found = with_nearby_ages(hour_cases, count, span, most=MANY, seed=seed)
    assert found[: len(hour_cases)] == hour_cases
    own = {case.graph.id: age_of(case) for case in hour_cases}
    for case in found[len(hour_cases) :]:
        assert own[case.graph.id] / span * 0.999 <= age_of(case) <= own[case.graph.id] * span * 1.001
        assert 1 + case.graph.size_at(case.as_of) >= FEWEST_EVENTS
        assert case.increment == case.graph.size_at(case.graph.root_time + DAY) - case.graph.size_at(case.as_of)
        assert case.horizon_seconds == DAY


def test_the_draw_follows_the_seed_and_not_the_number_of_cases(hour_cases: list[Case]) -> None:
    first, again, other = (with_nearby_ages(hour_cases, 4, 2.0, most=MANY, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first != other
    fewer = with_nearby_ages(hour_cases[:5], 4, 2.0, most=MANY, seed=0)
    assert fewer[5:] == first[len(hour_cases) :][: len(fewer) - 5]


def test_a_bound_leaves_out_further_cuts_and_no_case(hour_cases: list[Case]) -> None:
    bounded = with_nearby_ages(hour_cases, 6, 2.0, most=len(hour_cases) + 7, seed=0)
    assert bounded[: len(hour_cases)] == hour_cases
    assert len(bounded) == len(hour_cases) + 7
    assert with_nearby_ages(hour_cases, 6, 2.0, most=3, seed=0) == hour_cases


def test_no_cut_passes_the_horizon_or_the_known_events() -> None:
    late = [cut(cascade_of([60.0 * i for i in range(40)]), 0.9 * DAY, DAY)]
    assert all(age_of(case) < DAY for case in with_nearby_ages(late, 30, 3.0, most=MANY, seed=0))
    labelled = LabelledCascade("w", "hour")
    labelled.apply(Event(id="w", cascade="w", kind=Kind.POST, time=1e9, user="author"))
    for i in range(30):
        labelled.apply(Event(id=f"w{i}", cascade="w", kind=Kind.REPOST, time=1e9 + 50.0 * i))
    labelled.label = GrowthLabel(3600.0, DAY, 100)
    found = with_nearby_ages([cut(labelled, 3600.0, DAY)], 30, 3.0, most=MANY, seed=0)
    assert 1 < len(found) < 31
    assert all(age_of(case) <= 3600.0 for case in found)


def test_what_has_no_age_yet_stays_as_it_is() -> None:
    cascade = cascade_of([0.0] * 9)
    unborn = [Case(cascade, cascade.root_time, DAY, 0)]
    assert with_nearby_ages(unborn, 5, 2.0, most=MANY, seed=0) == unborn
