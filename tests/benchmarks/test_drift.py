"""A change of the growth law is found in the scores of a stream, from events to standing."""

from __future__ import annotations

import pytest

from tests.benchmarks.drift import summary, watched


@pytest.mark.slow
def test_posts_that_live_shorter_from_one_time_on_are_noticed_and_nothing_before() -> None:
    changing = watched(0, 700, 400)
    early = next(one for one in changing if one.age == "15m-1h")
    assert (early.detections, early.false_alarms) == (1, 0)
    assert early.delay_scores is not None
    assert 30 < early.delay_scores < 200
    (row, *_) = summary("changing", [changing])
    assert (row["age"], row["found"], row["delay_scores_median"]) == ("15m-1h", 1, early.delay_scores)
