"""Files that hold the first hour and say the rest: their labels are part of every truth."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from forecasters.dataset import DatasetError, cases, cut, rolling_cases
from forecasters.labels import label_of, observed_until, read_labelled_cascades
from forecasters.trajectory import Relaxation
from graph import EventFileError
from tests.forecasters.cascades import START, cascade_of

DAY = 86_400.0


def written(path: Path, *lines: dict[str, object]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def root(name: str, **more: object) -> dict[str, object]:
    return {"id": f"{name}:0", "cascade": name, "kind": "post", "time": START, **more}


def reshare(name: str, number: int, age: float) -> dict[str, object]:
    return {"id": f"{name}:{number}", "cascade": name, "kind": "repost", "time": START + age, "parent": f"{name}:0"}


@pytest.fixture
def first_hour(tmp_path: Path) -> Path:
    ages = (9.0, 700.0, 3500.0)
    lines = [root("w", growth_24h=15, split="val"), *(reshare("w", i + 1, age) for i, age in enumerate(ages))]
    return written(tmp_path / "hour.jsonl", *lines)


def test_the_truth_is_what_the_events_show_and_the_label_beyond_them(first_hour: Path) -> None:
    (cascade,) = read_labelled_cascades(first_hour)
    assert cut(cascade, 3600.0, DAY).increment == 15
    assert cut(cascade, 600.0, DAY).increment == 2 + 15
    assert cut(cascade, 5.0, DAY).increment == 3 + 15
    assert cut(cascade, 600.0, 3600.0).increment == 2  # the label says nothing of the first hour
    assert [case.increment for case in cases([cascade], 3600.0, DAY, min_events=4)] == [15]


@pytest.mark.parametrize(("age", "horizon"), [(7200.0, DAY), (600.0, DAY / 2), (3600.0, 2 * DAY)])
def test_what_the_label_does_not_tell_is_refused(first_hour: Path, age: float, horizon: float) -> None:
    (cascade,) = read_labelled_cascades(first_hour)
    with pytest.raises(DatasetError, match="observe for 1 h at most, with a horizon of 24 h"):
        cut(cascade, age, horizon)


def test_random_ages_stay_where_the_events_are(first_hour: Path) -> None:
    (cascade,) = read_labelled_cascades(first_hour)
    found = rolling_cases([cascade], DAY, per_cascade=50)
    ages = np.array([case.as_of - START for case in found])
    assert len(found) == 50
    assert ages.max() < 3600.0
    assert {case.increment for case in found} == {15, 16, 17}
    assert [case.increment for case in rolling_cases([cascade], DAY, ages=[600.0, 3600.0, 7200.0])] == [17, 15]


def test_the_end_of_the_events_is_no_relaxation(first_hour: Path) -> None:
    found = rolling_cases(read_labelled_cascades(first_hour), DAY)
    assert Relaxation.fit(found) == Relaxation()


def test_cascades_without_a_label_are_whole(tmp_path: Path) -> None:
    path = written(tmp_path / "mixed.jsonl", root("a"), reshare("a", 1, 9_000.0), root("b", growth_24h=0))
    whole, labelled = read_labelled_cascades(path)
    assert (observed_until(whole), observed_until(labelled)) == (float("inf"), 3600.0)
    assert label_of(cascade_of([1.0])) is None
    assert cut(whole, 7200.0, DAY).increment == 1


@pytest.mark.parametrize("growth", [-1, 1.5, "many"])
def test_a_label_that_is_no_count_is_named_with_its_line(tmp_path: Path, growth: object) -> None:
    path = written(tmp_path / "bad.jsonl", root("a"), root("b", growth_24h=growth))
    with pytest.raises(EventFileError, match=r"bad.jsonl:2: growth_24h must be a whole number"):
        read_labelled_cascades(path)
