"""``cascadecast train``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from forecasters import load_forecaster
from graph.errors import UserError
from streams.cli import train
from tests.streams.test_cli_evaluate import data  # noqa: F401  (a fixture)

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


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["oracle"], "unknown model"),
        (["ridge", "--rolling", "--observe", "1h"], "leave one of them out"),
        (["ridge", "--split", "all"], "random, time, none"),
        (["ridge", "--observe", "24h"], "below --horizon"),
        (["ridge", "--max-cascades", "5"], "20 are needed"),
        (["ridge", "--version", "../x"], "no version"),
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
