"""The shared protocol: what is seen, what is asked, and who is in which part."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasters.dataset import (
    DatasetError,
    cases,
    cut,
    data_hash,
    increments,
    rolling_cases,
    split_cases,
    split_kind,
)
from graph import Event, Kind
from tests.forecasters.cascades import START, cascade_of, random_cascades

DAY = 86_400.0


def test_an_event_exactly_at_the_observation_time_belongs_to_the_future() -> None:
    case = cut(cascade_of([10.0, 3599.0, 3600.0, 3601.0]), 3600.0, DAY)
    assert case.graph.size_at(case.as_of) == 2
    assert case.increment == 2


def test_an_event_exactly_at_the_horizon_is_not_counted() -> None:
    assert cut(cascade_of([10.0, DAY - 1.0, DAY, DAY + 1.0]), 3600.0, DAY).increment == 1


@given(ages=st.lists(st.integers(0, 90_000), max_size=40), observe=st.integers(1, 80_000))
def test_the_label_is_a_difference_of_two_counts(ages: list[int], observe: int) -> None:
    case = cut(cascade_of([float(a) for a in ages]), float(observe), DAY)
    assert case.increment == sum(a < DAY for a in ages) - sum(a < observe for a in ages)


def test_growth_that_was_taken_back_is_no_growth() -> None:
    cascade = cascade_of([10.0, 20.0])
    cascade.apply(Event(id="x", cascade="c", kind=Kind.UNDO, time=START + 4000.0, parent="c:1"))
    assert cut(cascade, 3600.0, DAY).increment == 0


def test_ten_events_with_the_root_are_enough_and_nine_are_not() -> None:
    nine, eight = cascade_of([1.0] * 9, name="nine"), cascade_of([1.0] * 8, name="eight")
    assert [case.graph.id for case in cases([nine, eight], 3600.0, DAY)] == ["nine"]


def test_observing_past_the_horizon_is_refused() -> None:
    with pytest.raises(ValueError, match="horizon"):
        cases([], DAY, DAY)


@pytest.mark.parametrize("how", ["random", "time"])
def test_a_split_is_disjoint_complete_and_keeps_cuts_of_a_cascade_together(how: str) -> None:
    found = rolling_cases(random_cascades(40), DAY, per_cascade=3)
    split = split_cases(found, split_kind(how), 0)
    parts = [{case.graph.id for case in part} for part in (split.train, split.validation, split.test)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == len({case.graph.id for case in found})
    assert len(split.train) + len(split.validation) + len(split.test) == len(found)
    assert [len(part) for part in parts] == [28, 6, 6]


def test_a_time_split_tests_on_the_newest() -> None:
    split = split_cases(cases(random_cascades(40), 3600.0, DAY), "time")
    assert max(c.graph.root_time for c in split.train) <= min(c.graph.root_time for c in split.validation)
    assert max(c.graph.root_time for c in split.validation) <= min(c.graph.root_time for c in split.test)


def test_a_random_split_depends_on_its_seed_and_not_on_the_order_of_the_file() -> None:
    found = cases(random_cascades(40), 3600.0, DAY)

    def test_part(order: list, seed: int) -> list[str]:  # type: ignore[type-arg]
        return [case.graph.id for case in split_cases(order, "random", seed).test]

    assert test_part(found, 0) == test_part(found[::-1], 0)
    assert test_part(found, 0) != test_part(found, 1)


def test_an_unknown_split_is_the_users_error() -> None:
    with pytest.raises(DatasetError, match="random, time, none"):
        split_kind("sideways")


def test_rolling_cuts_are_spread_below_the_horizon_and_have_seen_something() -> None:
    found = rolling_cases(random_cascades(30), DAY, per_cascade=5, seed=3)
    ages = np.array([case.as_of - case.graph.root_time for case in found])
    assert (ages < DAY).all()
    assert (ages < 600).any()
    assert (ages > 36_000).any()
    assert all(case.graph.size_at(case.as_of) >= 1 for case in found)
    again = rolling_cases(random_cascades(30), DAY, per_cascade=5, seed=3)
    np.testing.assert_array_equal(increments(found), increments(again))


def test_rolling_cuts_at_given_ages_leave_out_those_past_the_horizon() -> None:
    found = rolling_cases([cascade_of([1.0, 2.0])], 3600.0, ages=[60.0, 600.0, 7200.0])
    assert [round(case.as_of - START) for case in found] == [60, 600]


def test_without_a_test_part_everything_else_is_trained_on() -> None:
    found = cases(random_cascades(40), 3600.0, DAY)
    split = split_cases(found, "none", 1)
    assert not split.test
    assert len(split.validation) == round(len(found) * 0.15)
    assert {c.graph.id for c in split.train} | {c.graph.id for c in split.validation} == {c.graph.id for c in found}


def test_the_data_hash_tells_files_apart(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"a")
    two.write_bytes(b"b")
    assert data_hash([one]) == data_hash([one]) != data_hash([two])
