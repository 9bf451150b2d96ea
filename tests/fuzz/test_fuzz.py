"""The short form of ``make fuzz``: the same inputs in every run."""

from __future__ import annotations

import pytest

from tests.fuzz.campaign import make_input, run
from tests.fuzz.targets import ACCEPTED, TARGETS, Target

INPUTS = {"event": 6000, "partition": 60, "segment": 150}
OTHERS = 250


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_no_input_crashes_a_decoder_or_is_refused_without_a_reason(target: Target) -> None:
    report = run(1, INPUTS.get(target.name, OTHERS), [target])
    outcomes = report.outcomes[target.name]
    assert outcomes[ACCEPTED], "some inputs must come through, or nothing behind the first check is tried"
    assert outcomes.total() == report.inputs


def test_an_input_is_a_function_of_its_seed_target_and_number() -> None:
    for target in TARGETS:
        first, second = make_input(5, target, 17), make_input(5, target, 17)
        assert first[0] == second[0]
        assert first[1].random() == second[1].random()
    inputs = {make_input(5, target, number)[0] for target in TARGETS[:1] for number in range(200)}
    assert len(inputs) > 150
