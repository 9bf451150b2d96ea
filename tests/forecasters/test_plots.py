"""The picture of an evaluation: three panels, the same file for the same evaluation, and clear refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

from forecasters.evaluation import Evaluation, EvaluationPlan, evaluate
from forecasters.plots import check_plot, drawn, write_plot
from graph.errors import UserError
from tests.forecasters.cascades import random_cascades


@pytest.fixture(scope="module")
def found() -> Evaluation:
    plan = EvaluationPlan(
        ("mean", "ridge", "hawkes"), (1800.0, 3600.0), 86_400.0, "random", seeds=(0, 1), reference="mean", curves=True
    )
    return evaluate(random_cascades(60), plan, data="some.jsonl")


def test_three_panels_show_what_was_measured(found: Evaluation) -> None:
    figure = drawn(found.rows, found.runs)
    scatter, errors, calibration = figure.axes
    best = min((row for row in found.rows if row["observe_seconds"] == 3600.0), key=lambda row: row["msle"])["model"]
    shown = {points.get_label() for points in scatter.collections}
    assert shown == {best, "mean"}
    points = scatter.collections[0].get_offsets()
    run = next(run for run in found.runs if run.model == best and run.observe_seconds == 3600.0)
    assert sorted(points[:, 0]) == sorted(1 + run.actual)
    lines = {container.get_label(): container.lines[0].get_ydata() for container in errors.containers}
    for model, values in lines.items():
        assert list(values) == [row["msle"] for row in found.rows if row["model"] == model]
    diagonal, *curves = calibration.lines
    assert list(diagonal.get_xdata()) == [0, 1]
    assert len(curves) == 3
    assert all(len(curve.get_xdata()) > 5 for curve in curves)


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_the_same_evaluation_gives_the_same_file(found: Evaluation, tmp_path: Path, suffix: str) -> None:
    one, two = tmp_path / f"one{suffix}", tmp_path / f"two{suffix}"
    for path in (one, two):
        write_plot(path, found.rows, found.runs)
    assert one.read_bytes() == two.read_bytes()
    assert one.stat().st_size > 5000
    assert [path.suffix for path in tmp_path.iterdir()] == [suffix, suffix]


def test_an_svg_holds_its_text_and_no_date(found: Evaluation, tmp_path: Path) -> None:
    write_plot(tmp_path / "x.svg", found.rows, found.runs)
    text = (tmp_path / "x.svg").read_text(encoding="utf-8")
    for said in ("some.jsonl, random split, horizon 24h", "calibration of the intervals", "ridge", "30m"):
        assert said in text
    assert "dc:date" not in text


def test_what_could_not_be_written_is_refused_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"must end in \.svg or \.png"):
        check_plot(tmp_path / "x.jpg")
    with pytest.raises(UserError, match="make it first"):
        check_plot(tmp_path / "nowhere" / "x.svg")
    check_plot(tmp_path / "x.svg")
    monkeypatch.setattr("forecasters.plots.find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"pip install 'cascadecast\[plot\]'"):
        check_plot(tmp_path / "x.svg")
