"""``cascadecast train ranker``, and what the other commands make of what it stored."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from forecasters.alerting import stage
from graph import write_events
from graph.errors import UserError
from streams.cli import alerts, evaluate, models, train
from tests.forecasters.alerting.posts import busy_day, events_of

RUN = CliRunner()
RULES = '[[rule]]\nname = "top"\ntop_probability = 0.2\nends_in_top = 0.1\nobserved = 2\n'


@pytest.fixture(autouse=True)
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(stage, "ROUNDS", 20)
    monkeypatch.setenv("CASCADECAST_MODELS_DIR", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    app = typer.Typer()
    for group in (alerts, evaluate, models, train):
        group.register(app)
    return app


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "posts.jsonl"
    write_events(
        path, [event for cascade in busy_day(200) for event in events_of(cascade, author=f"a{cascade.size % 7}")]
    )
    return path


def said(app: typer.Typer, *words: str) -> str:
    result = RUN.invoke(app, [*words])
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def test_from_a_file_of_posts_to_alerts(app: typer.Typer, data: Path, tmp_path: Path, store: Path) -> None:
    options = ["--data", str(data), "--top", "10%", "--split", "time"]
    told = json.loads(said(app, "train", "ranker", *options, "--json"))["results"][0]
    assert (told["model"], told["model_version"]) == ("ranker", "1")
    assert {row["n"] for row in told["rows"]} == {60}
    assert "models promote ranker 2" in said(app, "train", "ranker", *options, "--seed", "1")
    assert "# ranker" in said(app, "models", "show", "ranker")
    listed = json.loads(said(app, "models", "list", "--json"))["results"]
    assert {row["model_version"]: row["aliases"] for row in listed if row["model"] == "ranker"} == {
        "1": ["champion"],
        "2": [],
    }
    assert "champion is version 2" in said(app, "models", "promote", "ranker", "2")
    assert "champion is version 1" in said(app, "models", "rollback", "ranker")
    options = ["--data", str(data), "--observe", "1h", "--top", "10%", "--split", "all", "--models", "ranker"]
    judged = json.loads(said(app, "evaluate", "alerts", *options, "--json"))["results"]
    assert {row["n"] for row in judged if row["rule"] == "ranker"} == {200}
    rules = tmp_path / "rules.toml"
    rules.write_text(RULES)
    assert "ending among the top 10 %" in said(app, "alerts", "check", str(rules))
    tried = said(
        app, "alerts", "test", str(rules), str(data), "--models", "seismic", "--delay", "10m", "--jobs", "1", "--json"
    )
    assert json.loads(tried)["results"][0]["alerts"] > 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["train", "ranker", "--data", "DATA", "--observe", "1h"], "--observe is for forecasters"),
        (["train", "ranker", "--data", "DATA", "--epochs", "3"], "--epochs is for forecasters"),
        (["train", "ranker", "--data", "DATA", "--top", "many"], "--top many: give shares"),
        (["train", "ridge", "--data", "DATA", "--top", "1%"], "--top is for the ranker"),
        (["train", "ranker", "--data", "DATA", "--max-cascades", "50", "--split", "none"], "100 are needed"),
        (["models", "show", "ranker"], "ranker has no stored version; 'cascadecast train ranker --data FILE'"),
        (["evaluate", "alerts", "--data", "DATA", "--split", "all", "--models", "ranker"], "no ranker is stored"),
    ],
)
def test_bad_input_is_one_line(app: typer.Typer, data: Path, words: list[str], expected: str) -> None:
    result = RUN.invoke(app, [str(data) if word == "DATA" else word for word in words])
    assert isinstance(result.exception, UserError)
    assert expected in str(result.exception)
    assert "\n" not in str(result.exception)


def test_a_promotion_has_no_event_time_and_a_version_never_changes(app: typer.Typer, data: Path) -> None:
    options = ["train", "ranker", "--data", str(data), "--top", "10%", "--split", "none", "--version", "a"]
    said(app, *options)
    for words, expected in (
        (options, "versions never change"),
        (["models", "promote", "ranker", "a", "--from", "0"], "--from is for"),
    ):
        result = RUN.invoke(app, words)
        assert isinstance(result.exception, UserError)
        assert expected in str(result.exception)
