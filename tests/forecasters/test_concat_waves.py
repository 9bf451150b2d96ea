"""GraphWave of a batch is computed once for all models that read the same events."""

from __future__ import annotations

import numpy as np
import pytest

from forecasters.base import Example
from forecasters.concat import waves
from forecasters.concat.observation import sequence
from graph.graphwave import graphwave_batch
from tests.forecasters.cascades import random_cascades

HOUR = 3600.0


@pytest.fixture
def examples() -> list[Example]:
    views = [cascade.view(cascade.root_time + HOUR) for cascade in random_cascades(5)]
    return [Example.of(view, 24 * HOUR, dict(sequence(view, 50, 25))) for view in views]


def test_the_same_events_are_computed_once_and_others_anew(
    examples: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def counted(trees: object, observed: object, max_nodes: int) -> object:
        calls.append(max_nodes)
        return graphwave_batch(trees, observed, max_nodes)  # type: ignore[arg-type]

    monkeypatch.setattr(waves, "graphwave_batch", counted)
    observed = np.full(5, HOUR)
    first = waves.waves_of(examples, observed, 50)
    again = waves.waves_of(examples, observed, 50)
    assert calls == [50]
    for mine, theirs in zip(first, again, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    waves.waves_of(examples, observed, 40)
    waves.waves_of(examples, 2 * observed, 50)
    waves.waves_of(examples[::-1], observed, 50)
    assert calls == [50, 40, 50, 50]


def test_they_are_those_of_graphwave(examples: list[Example]) -> None:
    observed = np.full(5, HOUR)
    trees = [(example.inputs["ages"], example.inputs["parents"]) for example in examples]
    for mine, theirs in zip(waves.waves_of(examples, observed, 50), graphwave_batch(trees, observed, 50), strict=True):
        np.testing.assert_array_equal(mine, theirs)
