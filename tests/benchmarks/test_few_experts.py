"""The comparison of a blend of few experts with one of all: made to come out as it must."""

from __future__ import annotations

import numpy as np

from forecasters.blend import BlendForecaster
from forecasters.learning_ages import KNOTS
from tests.benchmarks.few_experts import judge, ratio


def test_a_copy_of_an_expert_is_not_asked_and_costs_nothing() -> None:
    blend = BlendForecaster.of_fresh(["mean", "ridge", "hawkes"])
    rng = np.random.default_rng(0)
    n = 80_000  # three ages of each post: fewer do not outweigh what speaks for the start, a half each
    truth, age = rng.normal(5.0, 2.0, n), rng.choice(KNOTS, n)
    near = truth + rng.normal(0.0, 1.0, n)
    logs = np.maximum(0.0, np.stack([near, near + rng.normal(0.0, 0.01, n), truth + rng.normal(0.0, 1.0, n)], axis=1))
    cascade = np.arange(n) // 3
    judged = judge(blend, logs, truth, age, cascade)
    assert judged.asked["hawkes"] == 5
    assert judged.asked["mean"] + judged.asked["ridge"] == 5
    found = ratio(judged, np.ones(n, np.bool_), cascade)
    assert 0.995 <= found["low"] <= found["few_to_all"] <= found["high"] <= 1.005
