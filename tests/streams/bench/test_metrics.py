"""The benchmark of metrics measures what it says; at full size it is a command, here it is small."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.bench import metrics
from streams.bench.metrics import MetricsPlan, run

RULES = Path(__file__).parents[3] / "deploy" / "alerts" / "rules.toml"


def test_rows_have_figures_and_what_they_are_to_stay_below(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "MODELS", ("hawkes", "seismic"))
    told: list[str] = []
    rows = {
        row["name"]: row
        for row in run(MetricsPlan(cascades=2_000, events=8_000, partitions=3, pages=3, rules=RULES), told.append)
    }
    assert len(told) == 3
    assert rows["live cascades"]["value"] == 2_000
    assert rows["size of the page"]["reference_value"] == 300_000
    assert rows["size of the page"]["value"] > rows["the same before any score"]["value"]
    assert rows["making the page, 99th percentile"]["value"] >= rows["making the page, median"]["value"] > 0
    at_full_speed = rows["of the processor time of taking in events, 4,000 at a time"]
    assert at_full_speed["reference_value"] == 2.0
