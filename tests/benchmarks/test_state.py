"""The state benchmark measures what it says; at full size it is a command, here it is small."""

from __future__ import annotations

from itertools import pairwise

from streams.bench.state import _chunks, run


def test_rows_have_figures_references_and_ratios() -> None:
    told: list[tuple[str, float]] = []
    rows = run(events=40_000, cascades=400, seed=1, progress=lambda what, share: told.append((what, share)))
    named = {row["name"]: row for row in rows}
    memory, append = named["memory an event"], named["append rate, 1 cascade in 20"]
    assert 20 < memory["value"] < memory["reference_value"]
    assert memory["ratio"] == memory["value"] / memory["reference_value"]
    assert append["value"] > 0
    assert append["reference_value"] > 0
    assert named["decode and validate rate"]["value"] > 0
    assert named["view of 100 nodes"]["value"] > 0
    assert ("compact cascades", 1.0) in told


def test_the_workload_is_whole_seeded_and_interleaved() -> None:
    events = [event for chunk in _chunks(5000, 50, 3, 1) for event in chunk]
    assert events == [event for chunk in _chunks(5000, 50, 3, 1) for event in chunk]
    assert len(events) == len({event.id for event in events}) == 5000
    assert len({event.cascade for event in events}) == 50
    seen: set[str] = set()
    for event in events:
        assert event.parent is None or event.parent in seen
        seen.add(event.id)
    switches = sum(one.cascade != other.cascade for one, other in pairwise(events))
    assert switches > 4000
