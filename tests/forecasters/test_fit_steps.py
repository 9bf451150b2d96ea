"""Who listens is told how far a fit has come, however deep within others it lies."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from forecasters.base import Case
from forecasters.context import ContextConfig
from forecasters.context.fitting import TaughtCases, fit_context, taught_cases
from forecasters.dataset import Split, rolling_cases, split_cases
from forecasters.fit_steps import Step, heard_by, tell, told
from forecasters.fitting import fit_forecaster
from forecasters.trees import TreesForecaster
from tests.forecasters.cascades import random_cascades

SMALL = ContextConfig(members=2, width=8, epochs=3, teachers=1, teachers_epochs=2, cuts=2, batch_size=64)


def test_steps_reach_the_listener_and_nobody_after_it() -> None:
    heard: list[Step] = []
    tell("alone", 0, 1)
    with heard_by(heard.append):
        assert list(told("letters", "abcde", every=2)) == list("abcde")
    tell("alone", 0, 1)
    assert heard == [Step("letters", 0, 5), Step("letters", 2, 5), Step("letters", 4, 5)]


def test_without_a_listener_of_its_own_a_fit_within_another_tells_the_outer_one() -> None:
    outer: list[Step] = []
    inner: list[Step] = []
    with heard_by(outer.append):
        with heard_by(None):
            tell("first", 0, 1)
        with heard_by(inner.append):
            tell("second", 0, 1)
        tell("third", 0, 1)
    assert [step.what for step in outer] == ["first", "third"]
    assert [step.what for step in inner] == ["second"]


def test_a_context_network_tells_its_teachers_and_every_epoch() -> None:
    heard: list[Step] = []
    train = rolling_cases(random_cascades(120), 86_400.0, per_cascade=1)
    with heard_by(heard.append):
        fit_context(train, SMALL, seed=0)
    stages = list(dict.fromkeys(step.what for step in heard))
    teachers = [f"teacher {number} of 5" for number in range(1, 6)]
    assert stages == ["features at random ages", "features at later ages", *teachers, "context network"]
    assert [(step.done, step.of) for step in heard if step.what == "context network"] == [(0, 3), (1, 3), (2, 3)]


def test_trees_tell_their_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    def quickly(train: Sequence[Case], config: ContextConfig, *, seed: int = 0) -> TaughtCases:
        return taught_cases(train, SMALL, seed=seed)

    monkeypatch.setattr("forecasters.context.fitting.taught_cases", quickly)
    monkeypatch.setattr("forecasters.trees.forecaster.MAX_ROUNDS", 7)
    split = split_cases(rolling_cases(random_cascades(40), 86_400.0, per_cascade=2), "random")
    rounds: list[Step] = []
    for part, of in ((split, 7), (Split(split.train, [], []), 200)):
        heard: list[Step] = []
        fit_forecaster(TreesForecaster(), part, seed=0, progress=heard.append)
        rounds = [step for step in heard if step.what == "boosted trees, bag 3 of 3"]
        assert [step.done for step in rounds] == list(range(of))
        assert {step.of for step in rounds} == {of}
