"""The benchmark of what stands from forecast to forecast measures what it says."""

from __future__ import annotations

from streams.bench.reuse import consecutive, run
from streams.engine.partition import Partition
from streams.settings import load_settings


def test_each_row_is_a_share() -> None:
    events, features, steps, cost = run(print, pairs=16, events=4_000)
    for share in (events, features, steps, cost):
        assert share["unit"] == "share"
        assert 0.0 <= share["value"] < 1.0
    assert steps["value"] > 0.5, "steps are of absolute age"
    assert steps["value"] > events["value"]


def test_pairs_are_of_one_cascade_and_in_order() -> None:
    for before, now in consecutive(Partition(0, load_settings().of_partitions(1)), 50, 4_000):
        assert before.cascade == now.cascade
        assert before.as_of < now.as_of
