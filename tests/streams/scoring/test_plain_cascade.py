"""The cascade by dictionaries says what the definitions say, and what the engine's says."""

from __future__ import annotations

import doctest

from hypothesis import given

from graph import Cascade, Event, Outcome
from streams.scoring import plain_cascade
from streams.scoring.plain_cascade import PlainCascade
from tests.graph.hostile import AS_OF, CASCADE, arrivals
from tests.graph.oracle import OracleCascade


@given(arrivals(), AS_OF)
def test_sizes_and_times_are_those_of_the_definitions_and_of_the_engine(
    arriving: list[tuple[Event, float]], as_of: float
) -> None:
    plain, oracle, engine = PlainCascade(CASCADE), OracleCascade(CASCADE), Cascade(CASCADE)
    for event, watermark in arriving:
        changed = oracle.apply(event, watermark) is not Outcome.DUPLICATE
        assert plain.apply(event, watermark) == changed
        engine.apply(event, watermark)
    assert plain.size_at(as_of) == oracle.view(as_of).size == engine.size_at(as_of)
    assert plain.withdrawn_at == oracle.withdrawn_at == engine.withdrawn_at
    if oracle.view(as_of).size:
        assert plain.root_time_at(as_of) == oracle.view(as_of).root_time


def test_its_example_holds() -> None:
    assert doctest.testmod(plain_cascade).failed == 0
