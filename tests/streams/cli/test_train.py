"""``cascadecast train``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from forecasters import load_forecaster
from graph.errors import UserError
from streams.cli import evaluate, models, train
from tests.forecasters.cascades import random_cascades
from tests.streams.cli.test_evaluate import data, write_cascades  # noqa: F401  (a fixture)

RUN = CliRunner()


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    app = typer.Typer()
    train.register(app)
    app.callback()(lambda: None)
    return app


def test_a_trained_version_is_stored_with_its_card(app: typer.Typer, data: Path, tmp_path: Path) -> None:  # noqa: F811
    options = ["--data", str(data), "--observe", "1h", "--seed", "3", "-o", str(tmp_path / "store"), "--json"]
    result = RUN.invoke(app, ["train", "ridge", *options])
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)["results"]
    assert (row["model"], row["model_version"]) == ("ridge", "1")
    directory = Path(row["directory"])
    assert {path.name for path in directory.iterdir()} == {"config.json", "model.safetensors", "card.md"}
    assert "cascades.jsonl.zst" in (directory / "card.md").read_text()
    config = json.loads((directory / "config.json").read_text())
    assert config["training"]["seed"] == 3
    assert config["training"]["observe_seconds"] == [3600.0]
    assert load_forecaster("ridge", tmp_path / "store").version == "1"


def test_the_second_version_waits_for_its_promotion(app: typer.Typer, data: Path, tmp_path: Path) -> None:  # noqa: F811
    for expected in ("", "models promote mean 2"):
        result = RUN.invoke(app, ["train", "mean", "--data", str(data), "-o", str(tmp_path)])
        assert result.exit_code == 0
        assert expected in result.stdout
    assert load_forecaster("mean", tmp_path).version == "1"


def test_several_files_and_seeds_make_one_version(app: typer.Typer, data: Path, tmp_path: Path) -> None:  # noqa: F811
    other = tmp_path / "other.jsonl"
    write_cascades(other, random_cascades(70, seed=1)[-12:])
    files = ["--data", str(data), "--data", str(other)]
    result = RUN.invoke(app, ["train", "lightgbm", *files, "--observe", "1h", "--seeds", "0,1", "-o", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "2 of its cascades are in an earlier file; they count once" in result.stderr
    card = (tmp_path / "lightgbm" / "1" / "card.md").read_text()
    assert "| other.jsonl | 10 |" in card


def test_a_shipped_version_shows_the_scores_of_an_earlier_evaluation(
    app: typer.Typer,
    data: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    evaluate.register(app)
    options = ["--models", "ridge,lightgbm", "--split", "time", "--observe", "1h", "--seeds", "0"]
    printed = RUN.invoke(app, ["evaluate", "--data", str(data), *options, "--json"]).stdout
    scores = tmp_path / "scores.json"
    scores.write_text(printed)
    result = RUN.invoke(
        app, ["train", "ridge", "--data", str(data), "--split", "none", "--scores", str(scores), "-o", str(tmp_path)]
    )
    assert result.exit_code == 0, result.output
    assert "no test part" in result.stdout
    card = (tmp_path / "ridge" / "1" / "card.md").read_text()
    said = f"| 1h | ridge | {json.loads(printed)['results'][0]['n']} |"
    assert said in card
    models.register(app)
    options = ["--split", "none", "--version", "bare", "-o", str(tmp_path)]
    assert RUN.invoke(app, ["train", "ridge", "--data", str(data), *options]).exit_code == 0
    bare = tmp_path / "ridge" / "bare" / "card.md"
    assert said not in bare.read_text()
    later = RUN.invoke(app, ["models", "card", "ridge", "bare", "--scores", str(scores), "--store", str(tmp_path)])
    assert later.exit_code == 0, later.output
    assert said in bare.read_text()
    assert bare.read_text().count("split: time") == 1
    for bad in ("{", "[]", '{"command": "bench", "results": []}', '{"command": "evaluate", "results": [{}]}'):
        scores.write_text(bad)
        with pytest.raises(UserError, match="no output of 'evaluate --json'"):
            train.read_scores(scores)
    with pytest.raises(UserError, match="cannot be read"):
        train.read_scores(tmp_path / "nowhere.json")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["oracle"], "unknown model"),
        (["ridge", "--rolling", "--observe", "1h"], "leave one of them out"),
        (["ridge", "--split", "all"], "random, time, none"),
        (["ridge", "--observe", "24h"], "below --horizon"),
        (["ridge", "--max-cascades", "5"], "20 are needed"),
        (["ridge", "--version", "../x"], "no version"),
        (["concat:poem"], "its variants are"),
        (["concat:paper"], "such as --observe 1h"),
        (["ridge", "--device", "abacus"], "use auto, cpu, cuda"),
        (["ridge", "--seeds", "one"], "whole numbers"),
        (["ridge", "--scores", "x.json"], "--scores goes with --split none"),
    ],
)
def test_bad_options_write_nothing(
    app: typer.Typer,
    data: Path,  # noqa: F811
    tmp_path: Path,
    options: list[str],
    said: str,
) -> None:
    error = RUN.invoke(app, ["train", *options, "--data", str(data), "-o", str(tmp_path)]).exception
    assert isinstance(error, UserError)
    assert said in str(error)
    assert not list(tmp_path.rglob("config.json"))
