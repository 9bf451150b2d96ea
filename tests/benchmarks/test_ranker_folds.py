"""The folds in which a ranker is chosen: they see no post on which it is judged, and tell a change from chance."""

from __future__ import annotations

import numpy as np
import pytest

from forecasters.alerting import stage
from tests.benchmarks.ranker_folds import AGES_SECONDS, FOLDS, RESAMPLES, SHARES, Case, cases_of, change
from tests.forecasters.alerting.posts import busy_day, post


def test_posts_of_the_later_part_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "ROUNDS", 5)
    posts = busy_day(400)
    later = [post(one.id, [60.0, 120.0], start=one.root_time) for one in posts[280:]]
    found, again = (cases_of(some, reads_stream=False, seed=0, data="d") for some in (posts, posts[:280] + later))
    assert len(found) == len(FOLDS) * len(AGES_SECONDS) * len(SHARES)
    assert [case.ratio for case in found] == [case.ratio for case in again]
    assert sum(len(case.scores) for case in found[:: len(AGES_SECONDS) * len(SHARES)]) == 0.6 * 280


def _cases(noise: float, count: int = 8) -> list[Case]:
    """Scores of the same posts with more or less noise."""
    found = []
    for number in range(count):
        rng = np.random.default_rng(number)
        truth, error = rng.normal(size=300), rng.normal(size=300)
        found.append(Case(f"d/{number}", truth + noise * error, truth > 1.5, 0.5))
    return found


def test_what_is_better_is_told_from_what_is_the_same() -> None:
    poor = {case.name: case.scores for case in _cases(2.0)}
    gain, low, high = change(_cases(0.2), poor)
    assert 0.0 < low < gain < high
    assert change(_cases(2.0), poor) == (0.0, 0.0, 0.0)


def test_a_sample_without_a_post_of_the_top_changes_nothing() -> None:
    one = Case("d/0", np.arange(20.0), np.arange(20) == 10, 0.5)
    gain, low, high = change([one], {"d/0": -np.arange(20.0)})
    assert np.isfinite([gain, low, high]).all()
    assert RESAMPLES >= 100
