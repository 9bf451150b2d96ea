"""What trains and what tests: apart by cascade, the same for every model, as the protocols say."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from forecasters.base import Case
from forecasters.dataset import DatasetError, Split, rolling_cases, split_cases
from forecasters.folds import held_out_fold, paper_fold, rolling_fold
from forecasters.labels import GrowthLabel, LabelledCascade
from graph import Cascade, Event, Kind
from tests.forecasters.cascades import START, cascade_of, random_cascades

HOUR, DAY = 3600.0, 86_400.0
CASCADES = random_cascades(80)


def ids(part: Sequence[Case]) -> set[str]:
    return {case.graph.id for case in part}


def apart(split: Split) -> bool:
    parts = [ids(part) for part in (split.train, split.validation, split.test)]
    return len(set.union(*parts)) == sum(map(len, parts))


def labelled(count: int) -> list[Cascade]:
    """First hours of a star each, and how they went on."""
    found: list[Cascade] = []
    for number in range(count):
        cascade = LabelledCascade(f"l{number}")
        cascade.apply(Event(id=cascade.id, cascade=cascade.id, kind=Kind.POST, time=START + number))
        for i in range(20):
            event = Event(id=f"{i}", cascade=cascade.id, kind=Kind.REPOST, time=START + number + 60.0 * i)
            cascade.apply(event)
        cascade.label = GrowthLabel(HOUR, DAY, 5 * number)
        found.append(cascade)
    return found


def test_the_papers_protocol_splits_at_each_age_alone() -> None:
    fold = paper_fold(CASCADES, (600.0, HOUR), DAY, "random", seed=0, least=10)
    assert fold.rolling is None
    for age, split in fold.at.items():
        assert apart(split)
        assert {round(case.as_of - case.graph.root_time) for case in split.train} == {age}


def test_the_rolling_protocol_has_one_test_part_for_all_ages() -> None:
    fold = rolling_fold(CASCADES, (600.0, HOUR), DAY, "random", seed=3, least=10)
    assert fold.rolling == split_cases(rolling_cases(CASCADES, DAY, seed=3), "random", 3)
    assert apart(fold.rolling)
    for split in fold.at.values():
        assert apart(split)
        assert ids(split.train) <= ids(fold.rolling.train)
        assert ids(split.test) <= ids(fold.rolling.test)


def test_cascades_beside_join_what_is_trained_at_random_ages_and_nothing_else() -> None:
    own, others = CASCADES[:40], CASCADES[40:]
    alone = rolling_fold(own, (HOUR,), DAY, "time", seed=0, least=10)
    fold = rolling_fold(own, (HOUR,), DAY, "time", seed=0, least=10, beside=others)
    assert fold.rolling is not None
    assert alone.rolling is not None
    assert (fold.at, fold.tested) == (alone.at, alone.tested)
    assert fold.rolling.test == alone.rolling.test
    assert fold.calibrating == alone.rolling.validation == alone.calibrating
    added = split_cases(rolling_cases(others, DAY, seed=0), "none", 0)
    assert fold.rolling.train == alone.rolling.train + added.train
    assert fold.rolling.validation == alone.rolling.validation + added.validation


def test_a_held_out_file_is_only_tested_on() -> None:
    fold = held_out_fold(CASCADES[:30], CASCADES[30:], (HOUR,), DAY, seed=0, least=10)
    split = fold.at[HOUR]
    assert ids(split.test) <= {cascade.id for cascade in CASCADES[:30]}
    assert apart(split)
    assert split.validation
    assert not held_out_fold(CASCADES, [], (HOUR,), DAY, seed=0, least=10).at[HOUR].train


def test_min_events_count_the_root() -> None:
    some = [cascade_of([1.0] * 4 + [5000.0], name=f"c{i}") for i in range(25)]
    assert paper_fold(some, (HOUR,), DAY, "random", seed=0, least=5).at[HOUR].train
    with pytest.raises(DatasetError, match="0 of 25 cascades have 6 events or more before 1h, 20 are needed"):
        paper_fold(some, (HOUR,), DAY, "random", seed=0, least=6)


def test_cascades_that_end_early_train_while_they_last_and_are_never_tested_beyond() -> None:
    mixed = CASCADES + labelled(30)
    fold = rolling_fold(mixed, (1800.0, 3 * HOUR), DAY, "random", seed=0, least=10)
    assert any(name.startswith("l") for name in ids(fold.at[1800.0].train))
    assert not any(name.startswith("l") for name in ids(fold.at[3 * HOUR].train))
    beside = held_out_fold(CASCADES[:30], CASCADES[30:] + labelled(30), (3 * HOUR,), DAY, seed=0, least=10)
    assert not any(name.startswith("l") for name in ids(beside.at[3 * HOUR].train))
    for make in (paper_fold, rolling_fold):
        with pytest.raises(DatasetError, match="observe for 1 h at most"):
            make(labelled(30), (3 * HOUR,), DAY, "random", seed=0, least=10)
