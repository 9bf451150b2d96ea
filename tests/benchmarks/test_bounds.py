"""The benchmark of the bounds measures what it says; at full size it is a command, here it is small."""

from __future__ import annotations

import pytest

from streams.bench.bounds import cascade, run, schedule


def test_rows_have_figures_references_and_ratios() -> None:
    told: list[str] = []
    rows = {row["name"]: row for row in run(cascades=20_000, events=20_000, say=told.append)}
    memory = rows["memory of a cascade, 20,000 live"]
    assert 200 < memory["value"] < 2000
    assert memory["ratio"] == memory["value"] / memory["reference_value"]
    assert rows["making room in a full store, 1,250 leave"]["value"] > 0
    assert rows["size at noon"]["ratio"] == pytest.approx(1.0, rel=1e-3)
    assert told == ["store of 20,000", "cascade of 20,000", "schedule of 20,000"]


def test_beyond_the_cap_events_are_counted_and_noon_is_still_known() -> None:
    rows = {row["name"]: row for row in cascade(210_000)}
    assert rows["events counted by the minute"]["value"] == 10_000
    assert rows["size at noon"]["ratio"] == pytest.approx(1.0, rel=1e-3)


def test_counting_what_is_due_is_no_pass_over_the_schedule() -> None:
    assert schedule(20_000)[0]["ratio"] < 0.5
