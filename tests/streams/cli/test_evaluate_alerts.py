"""``cascadecast evaluate alerts``, beside ``cascadecast evaluate``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from forecasters.alerting import stage
from forecasters.alerting.lead_times import PRECISIONS
from graph import Cascade, Event, Kind, write_events
from graph.errors import UserError
from streams.cli import evaluate
from tests.forecasters.alerting.posts import busy_day

RUN = CliRunner()
ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "ROUNDS", 20)


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    app = typer.Typer(context_settings={"help_option_names": ["-h", "--help"]})
    evaluate.register(app)
    app.callback()(lambda: None)
    return app


def written(path: Path, cascades: list[Cascade]) -> Path:
    events = []
    for cascade in cascades:
        events.append(
            Event(
                id=cascade.id, cascade=cascade.id, kind=Kind.POST, time=cascade.root_time, user=f"a{cascade.size % 7}"
            )
        )
        ages = cascade.view().ages[1:].tolist()
        events += [
            Event(
                id=f"{cascade.id}:{i}", cascade=cascade.id, kind=Kind.REPOST, time=cascade.root_time + age, user=f"{i}"
            )
            for i, age in enumerate(ages)
        ]
    write_events(path, events)
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("data") / "posts.jsonl.zst", busy_day(300))


def rows(app: typer.Typer, *options: str) -> list[dict[str, Any]]:
    result = RUN.invoke(app, ["evaluate", "alerts", *options, "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["command"] == "evaluate alerts"
    found: list[dict[str, Any]] = document["results"]
    return found


def documented_keys() -> list[str]:
    """The keys in the first column of the table of a row in docs/alert-quality.md."""
    section = (ROOT / "docs" / "alert-quality.md").read_text(encoding="utf-8").split("## A row\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [name.strip(" `") for line in lines for name in line.split("|")[1].split(",")]


def test_rows_of_both_protocols_with_the_documented_keys(app: typer.Typer, data: Path) -> None:
    found = rows(app, "--data", str(data), "--observe", "30m", "--top", "5%,10%", "--seeds", "0")
    assert [(row["rule"], row["top_share"]) for row in found if row["protocol"] == "age"] == [
        (rule, share) for share in (0.05, 0.1) for rule in ("count", "rate", "ranker")
    ]
    walked = [row for row in found if row["protocol"] == "stream"]
    assert len(walked) == 2 * 4 * (1 + len(PRECISIONS))
    assert list(found[0]) == list(walked[0]) == documented_keys()
    age = found[:3]
    assert max(row["ratio"] for row in age[:2]) == 1.0
    assert all(row["n"] == 90 and row["positives"] <= 4 for row in age)
    assert all(row["average_precision_low"] <= row["average_precision"] <= row["average_precision_high"] for row in age)
    for row in walked:
        if row["target_precision"] is not None and row["precision"] is not None:
            assert row["precision"] >= row["target_precision"]


def test_the_same_input_and_seed_give_the_same_rows(app: typer.Typer, data: Path) -> None:
    options = ["--data", str(data), "--observe", "30m", "--top", "10%", "--seeds", "3", "--split", "random"]
    assert rows(app, *options) == rows(app, *options)


def test_nothing_is_trained_with_split_all(app: typer.Typer, data: Path) -> None:
    found = rows(app, "--data", str(data), "--observe", "1h", "--top", "10%", "--split", "all", "--models", "hawkes")
    assert {row["rule"] for row in found if row["protocol"] == "age"} == {"count", "rate", "hawkes"}
    assert {row["rule"] for row in found if row["protocol"] == "stream"} == {"count", "rate", "rank"}
    assert {row["n"] for row in found} == {300}


def test_a_forecaster_is_trained_and_ranks_by_expected_size(app: typer.Typer, data: Path) -> None:
    options = ["--observe", "1h", "--top", "10%", "--seeds", "0", "--models", "ridge"]
    ridge = [row for row in rows(app, "--data", str(data), *options) if row["rule"] == "ridge"]
    assert [row["protocol"] for row in ridge] == ["age"]
    assert 0.0 < ridge[0]["average_precision"] <= 1.0


def test_tables_in_a_pipe_and_in_markdown(app: typer.Typer, data: Path) -> None:
    options = ["--data", str(data), "--observe", "30m", "--top", "10%", "--split", "all", "--models", "hawkes"]
    table = RUN.invoke(app, ["evaluate", "alerts", *options])
    assert table.exit_code == 0, table.output
    assert "through each post's life" in table.stdout
    markdown = RUN.invoke(app, ["evaluate", "alerts", *options, "--markdown"]).stdout
    assert markdown.startswith("| observe | top | rule | posts |")
    assert "| 30m | 10 % | rate over " in markdown


def test_both_rankers_beside_each_other(app: typer.Typer, data: Path) -> None:
    options = ["--observe", "30m", "--top", "10%", "--seeds", "0", "--models", "ranker,ranker:post"]
    found = rows(app, "--data", str(data), *options)
    for protocol in ("age", "stream"):
        assert {"ranker", "ranker:post"} <= {row["rule"] for row in found if row["protocol"] == protocol}


def test_a_plot_is_drawn(app: typer.Typer, data: Path, tmp_path: Path) -> None:
    plot = tmp_path / "alerts.svg"
    options = ["--data", str(data), "--observe", "30m", "--top", "10%", "--seeds", "0", "--plot", str(plot)]
    assert RUN.invoke(app, ["evaluate", "alerts", *options]).exit_code == 0
    drawn = plot.read_text()
    for text in ("recall", "hours before half of the final size", "ranker"):
        assert text in drawn


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--top", "0%"], "--top 0%: give shares"),
        (["--top", "many"], "--top many: give shares"),
        (["--split", "all", "--models", "ranker:post"], "--split all trains nothing"),
        (["--split", "all", "--models", "ranker@7"], "no model 'ranker@7'"),
        (["--models", "ranker@7"], "--split all judges the stored ranker@7"),
        (["--models", "oracle"], "oracle"),
        (["--observe", "25h"], "below --horizon"),
        (["--seeds", "x"], "--seeds x"),
        (["--split", "half"], "unknown split"),
        (["--plot", "x.pdf"], "must end in"),
        (["--max-cascades", "30"], "9 of 30 cascades to test on"),
    ],
)
def test_bad_input_is_one_line(app: typer.Typer, data: Path, options: list[str], said: str) -> None:
    result = RUN.invoke(app, ["evaluate", "alerts", "--data", str(data), *options])
    assert isinstance(result.exception, UserError)
    assert said in str(result.exception)
    assert "\n" not in str(result.exception)


def test_an_empty_top_share_is_one_line(app: typer.Typer, tmp_path: Path) -> None:
    silent = written(tmp_path / "silent.jsonl", [cascade for cascade in busy_day(600) if cascade.size == 0])
    result = RUN.invoke(app, ["evaluate", "alerts", "--data", str(silent)])
    assert isinstance(result.exception, UserError)
    assert "no post is in the top 1 %" in str(result.exception)


def test_evaluate_alone_is_what_it_was(app: typer.Typer) -> None:
    alone = RUN.invoke(app, ["evaluate"])
    assert alone.exit_code == 2
    assert "Missing option '--data'" in alone.output
    helped = RUN.invoke(app, ["evaluate", "-h"]).output
    assert "Usage: root evaluate [OPTIONS]" in helped
    assert "--min-events" in helped
    assert "cascadecast evaluate alerts --help" in helped
    of_alerts = RUN.invoke(app, ["evaluate", "alerts", "-h"]).output
    assert "Usage: root evaluate alerts [OPTIONS]" in of_alerts
    assert "--top" in of_alerts
    assert "--min-events" not in of_alerts
    missing = RUN.invoke(app, ["evaluate", "alerts"])
    assert (missing.exit_code, "Missing option '--data'" in missing.output) == (2, True)
    assert RUN.invoke(app, ["evaluate", "alarms"]).exit_code == 2
