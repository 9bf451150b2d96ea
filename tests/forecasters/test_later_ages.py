"""Labels by later ages: what they are made of, that no teacher tells of its own cascade, and where the truth stays."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from forecasters.base import Case
from forecasters.context import ContextConfig
from forecasters.context.fitting import fit_context, taught_cases
from forecasters.context.later_ages import (
    FARTHEST,
    FEWEST_CASCADES,
    LATER_AGES,
    NEAREST,
    RESIDUALS,
    TEACHERS,
    later_labels,
)
from forecasters.dataset import cut, increments, just_before, rolling_cases
from forecasters.labels import GrowthLabel, LabelledCascade
from graph import Cascade, CascadeView, Event, Kind
from tests.forecasters.cascades import cascade_of, random_cascades

DAY = 86_400.0
HOUR = 3600.0


def seen(view: CascadeView, horizon_seconds: float) -> np.ndarray:
    """Which cascade (its root time tells), at what age and size: all that a teacher of these tests needs."""
    return np.array([view.root_time % 1e7, view.age_seconds, len(view) - 1.0, horizon_seconds])


def features_of(cases: Sequence[Case]) -> Tensor:
    return torch.from_numpy(np.stack([seen(case.graph.view(case.as_of), case.horizon_seconds) for case in cases]))


def saying(value: float) -> Callable[[Tensor, Tensor], Callable[[Tensor], Tensor]]:
    """A teacher who always says the same."""
    return lambda _known, _labels: lambda asked: torch.full((len(asked),), value)


def learning_nothing(_known: Tensor, labels: Tensor) -> Callable[[Tensor], Tensor]:
    """A teacher who says the mean of what it was told."""
    return lambda asked: labels.mean().expand(len(asked))


@pytest.fixture(scope="module")
def train() -> list[Case]:
    return rolling_cases(random_cascades(FEWEST_CASCADES + 20), DAY, per_cascade=3)


def test_no_teacher_is_asked_of_a_cascade_that_it_was_fitted_to(train: list[Case]) -> None:
    asked_of: list[set[float]] = []

    def watched(known: Tensor, labels: Tensor) -> Callable[[Tensor], Tensor]:
        told = set(known[:, 0].tolist())
        asked_of.append(set())

        def foretell(asked: Tensor) -> Tensor:
            assert told.isdisjoint(asked[:, 0].tolist())
            asked_of[-1].update(asked[:, 0].tolist())
            return torch.zeros(len(asked))

        return foretell

    later_labels(train, features_of(train), seen, watched, seed=0)
    assert len(asked_of) == TEACHERS
    assert sum(map(len, asked_of)) == len({case.graph.id for case in train})  # each cascade is asked of by one


def test_only_the_past_of_a_later_age_is_seen_and_no_horizon_is_passed(train: list[Case]) -> None:
    ages: list[tuple[float, float]] = []

    def watched(view: CascadeView, horizon_seconds: float) -> np.ndarray:
        ages.append((view.age_seconds, horizon_seconds))
        return seen(view, horizon_seconds)

    later_labels(train, features_of(train), watched, saying(1.0), seed=0)
    assert ages
    assert all(age < horizon for age, horizon in ages)
    youngest = min(case.as_of - case.graph.root_time for case in train)
    assert min(age for age, _ in ages) >= 0.99 * NEAREST * youngest


def reference(cases: Sequence[Case], said: float, seed: int) -> list[float]:
    """Labels under a teacher who always says ``said``: the plain formula, one case at a time, one group of errors."""
    truth = [math.log2(1.0 + case.increment) for case in cases]
    level = [(i + 0.5) / RESIDUALS for i in range(RESIDUALS)]
    errors = np.quantile([t - said for t in truth], level).tolist()
    found = []
    for place, case in enumerate(cases):
        graph, age = case.graph, case.as_of - case.graph.root_time
        last = min(FARTHEST * age, case.horizon_seconds)
        if NEAREST * age >= last:
            found.append(truth[place])
            continue
        rng = np.random.default_rng((seed, 4, place))
        each = []
        for later in np.exp(rng.uniform(math.log(NEAREST * age), math.log(last), LATER_AGES)):
            since = graph.size_at(just_before(graph.root_time + later)) - graph.size_at(case.as_of)
            each += [math.log2(1.0 + since + 2.0 ** max(said + error, 0.0) - 1.0) for error in errors]
        found.append(sum(each) / len(each))
    return found


@settings(deadline=None, max_examples=15)
@given(
    st.lists(st.lists(st.floats(1.0, DAY - 1.0), max_size=6), min_size=FEWEST_CASCADES, max_size=FEWEST_CASCADES + 5),
    st.floats(60.0, 0.9 * DAY),
    st.floats(0.0, 6.0),
    st.integers(0, 3),
)
def test_labels_are_those_of_the_plain_formula(ages: list[list[float]], age: float, said: float, seed: int) -> None:
    cases = [cut(cascade_of(sorted(own), name=f"c{i}"), age, DAY) for i, own in enumerate(ages)]
    labels = later_labels(cases, features_of(cases), seen, saying(said), seed=seed)
    np.testing.assert_allclose(labels, reference(cases, said, seed), rtol=1e-6, atol=1e-6)


def waning(index: int) -> Cascade:
    """Reshares at a rate that halves every eight hours: how many more come is nothing but chance."""
    rng = np.random.default_rng((7, index))
    ages = np.sort(rng.exponential(8.0 * HOUR / math.log(2.0), rng.poisson(64)))
    return cascade_of(ages[ages < DAY].tolist(), name=f"b{index}")


def test_labels_have_the_mean_of_the_truth_and_less_of_its_chance() -> None:
    cases = [cut(waning(index), HOUR, DAY) for index in range(600)]

    def knowing(_known: Tensor, labels: Tensor) -> Callable[[Tensor], Tensor]:
        return lambda asked: torch.log2(
            1.0 + 64.0 * (torch.exp2(-asked[:, 1] / HOUR / 8.0) - 0.125)
        )  # the mean, at any age

    labels = later_labels(cases, features_of(cases), seen, knowing, seed=0)
    truth = np.log2(1.0 + increments(cases))
    assert labels.var() < 0.8 * truth.var()
    assert labels.mean() == pytest.approx(truth.mean(), abs=4.0 * (truth.std() + labels.std()) / math.sqrt(600))
    assert np.corrcoef(labels, truth)[0, 1] > 0.5  # what had come by then is in the label


def test_a_case_without_later_ages_keeps_its_truth() -> None:
    cases = [cut(cascade, 0.6 * DAY, DAY) for cascade in random_cascades(FEWEST_CASCADES)]
    labels = later_labels(cases, features_of(cases), seen, saying(9.0), seed=0)
    np.testing.assert_array_equal(labels, np.log2(1.0 + increments(cases)))


def test_half_of_the_cases_may_be_of_one_age() -> None:
    """As in a large file trained for one age, where each cascade is cut at one further age."""
    rng = np.random.default_rng(2)
    cases = [
        cut(cascade_of(np.sort(rng.uniform(0.0, DAY, 3)).tolist(), name=f"c{index}"), age, DAY)
        for index in range(700)
        for age in (HOUR, float(rng.uniform(60.0, DAY)))
    ]
    labels = later_labels(cases, features_of(cases), seen, learning_nothing, seed=0)
    assert np.isfinite(labels).all()
    same_age = [case for case in cases[::2] for _ in range(2)]
    assert np.isfinite(later_labels(same_age, features_of(same_age), seen, learning_nothing, seed=0)).all()


def test_later_ages_end_with_the_events_of_a_cascade() -> None:
    def first_hour(index: int) -> LabelledCascade:
        cascade = LabelledCascade(f"h{index}", "first-hours")
        cascade.label = GrowthLabel(HOUR, DAY, 100)
        cascade.apply(Event(id=cascade.id, cascade=cascade.id, kind=Kind.POST, time=1e9 + index, user="author"))
        return cascade

    cascades = [first_hour(index) for index in range(FEWEST_CASCADES)]
    cases = [cut(cascade, age, DAY) for cascade in cascades for age in (600.0, HOUR)]
    latest = 0.0

    def watched(view: CascadeView, horizon_seconds: float) -> np.ndarray:
        nonlocal latest
        latest = max(latest, view.age_seconds)
        return seen(view, horizon_seconds)

    labels = later_labels(cases, features_of(cases), watched, learning_nothing, seed=0)
    assert 0.5 * HOUR < latest <= HOUR
    np.testing.assert_array_equal(labels[1::2], np.log2(1.0 + increments(cases))[1::2])


def test_few_cascades_learn_from_the_truth() -> None:
    cases = [cut(cascade, HOUR, DAY) for cascade in random_cascades(FEWEST_CASCADES - 1)]

    def never(_known: Tensor, _labels: Tensor) -> Callable[[Tensor], Tensor]:
        raise AssertionError("a teacher was fitted")

    labels = later_labels(cases, features_of(cases), seen, never, seed=0)
    np.testing.assert_array_equal(labels, np.log2(1.0 + increments(cases)))


SMALL = ContextConfig(members=2, width=16, epochs=2, teachers=1, teachers_epochs=2, cuts=2, batch_size=64)


def test_the_context_learns_from_them_to_the_bit(train: list[Case]) -> None:
    first, other = (fit_context(train, SMALL, seed=seed).state_dict() for seed in (0, 1))
    again = fit_context(train, SMALL, seed=0).state_dict()
    untaught = fit_context(train, replace(SMALL, teachers=0), seed=0).state_dict()
    name = "perceptrons.out.weight"
    assert torch.equal(first[name], again[name])
    assert not torch.equal(first[name], other[name])
    assert not torch.equal(first[name], untaught[name])


def test_each_population_has_teachers_of_its_own() -> None:
    def post(population: str, index: int) -> LabelledCascade:
        cascade = LabelledCascade(f"{population}{index}", population)
        cascade.apply(Event(id=cascade.id, cascade=cascade.id, kind=Kind.POST, time=1e9 + index, user="author"))
        for number, age in enumerate(np.sort(np.random.default_rng(index).uniform(0.0, DAY, 20)).tolist()):
            repost = Event(id=f"{cascade.id}:{number}", cascade=cascade.id, kind=Kind.REPOST, time=1e9 + index + age)
            cascade.apply(repost)
        return cascade

    few = [cut(post("few", index), HOUR * 4.0, DAY) for index in range(30)]
    many = [cut(post("many", index), HOUR * 4.0, DAY) for index in range(FEWEST_CASCADES)]
    both = taught_cases([*few, *many], SMALL, seed=0)
    truth = np.log2(1.0 + increments(both.cases))
    of_few = np.array([case.graph.id.startswith("few") for case in both.cases])
    assert of_few.sum() > len(few)
    np.testing.assert_array_equal(both.labels[of_few], truth[of_few])  # too few for teachers, and not lent the others'
    assert (both.labels[~of_few] != truth[~of_few]).mean() > 0.5
