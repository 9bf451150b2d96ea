"""The count has a say where the newest training posts give it one."""

from __future__ import annotations

import numpy as np

from forecasters.alerting.anchor import WEIGHTS, count_slope


def test_a_score_that_knows_all_needs_no_count() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=300)
    counts = truth[:, None] + rng.normal(size=(300, 4))
    assert count_slope(np.repeat(truth[:, None], 4, axis=1), counts, [truth > 1.0]) == 0.0


def test_a_stale_score_gives_way_to_the_count() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=300)
    scores = 2.0 * (truth[:, None] + 3.0 * rng.normal(size=(300, 4)))
    counts = truth[:, None] + 0.1 * rng.normal(size=(300, 4))
    assert count_slope(scores, counts, [truth > 1.0]) == max(WEIGHTS) * scores.std() / counts.std()


def test_counts_that_are_all_equal_do_no_harm() -> None:
    assert count_slope(np.arange(6.0)[:, None], np.zeros((6, 1)), [np.arange(6) > 4]) == 0.0
