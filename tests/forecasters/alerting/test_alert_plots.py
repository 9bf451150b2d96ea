"""The picture of alert quality: precision and recall, leads, and lives of posts with each rule's alert."""

from __future__ import annotations

from pathlib import Path

import pytest

from forecasters.alerting import AlertEvaluation, AlertPlan, evaluate_alerts, stage
from forecasters.alerting.alert_plots import drawn, write_alert_plot
from tests.forecasters.alerting.posts import HORIZON, busy_day


@pytest.fixture(scope="module")
def found() -> AlertEvaluation:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "ROUNDS", 20)
        return evaluate_alerts(busy_day(300), AlertPlan((1800.0,), HORIZON, (0.1,), seeds=(0,)), data="posts.jsonl")


def test_its_panels_show_every_rule(found: AlertEvaluation) -> None:
    precision, leads, *lives = drawn(found).axes
    assert [line.get_label() for line in precision.lines] == ["count", "rate", "ranker"]
    assert len(leads.lines) == 4 + 1  # the rank too, and the moment of half the size
    assert len(lives) == 4
    operations = [
        operation
        for (_, share, target), operation in found.trials[0].operations.items()
        if (share, target) == (0.1, 0.9)
    ]
    for life in lives:
        post = found.curves.ids.index(life.get_title())
        place = found.trials[0].test.tolist().index(post)
        alerts = [line.get_xdata()[0] * 3600.0 for line in life.lines[2:]]
        expected = [one.ages[place] for one in operations if one is not None and one.ages[place] < HORIZON]
        assert sorted(alerts) == pytest.approx(sorted(expected))


def test_the_curve_of_a_life_ends_at_its_final_size(found: AlertEvaluation) -> None:
    life = drawn(found).axes[2]
    post = found.curves.ids.index(life.get_title())
    assert life.lines[0].get_ydata()[-1] == found.curves.finals()[post]
    assert life.lines[1].get_ydata()[0] == found.curves.finals()[post] / 2


def test_the_file_is_the_same_to_the_byte(found: AlertEvaluation, tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        write_alert_plot(tmp_path / name, found)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    write_alert_plot(tmp_path / "a.png", found)
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
