"""``cascadecast evaluate``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from graph import Event, Kind, write_events
from graph.errors import UserError
from streams.cli import evaluate
from tests.forecasters.cascades import random_cascades

RUN = CliRunner()


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    app = typer.Typer()
    evaluate.register(app)
    app.callback()(lambda: None)
    return app


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An event file of sixty cascades, written from their views."""
    path = tmp_path_factory.mktemp("data") / "cascades.jsonl.zst"
    events = []
    for cascade in random_cascades(60):
        view = cascade.view()
        for i, age in enumerate(view.ages):
            kind, parent = (Kind.POST, None) if i == 0 else (Kind.REPOST, _id(cascade.id, int(view.parents[i])))
            time = view.root_time + float(age)
            events.append(Event(id=_id(cascade.id, i), cascade=cascade.id, kind=kind, time=time, parent=parent))
    write_events(path, events)
    return path


def _id(cascade: str, index: int) -> str:
    return cascade if index == 0 else f"{cascade}:{index}"


def test_json_is_one_object_with_the_documented_rows(app: typer.Typer, data: Path) -> None:
    options = ["--observe", "30m,1h", "--models", "mean,hawkes", "--split", "time", "--seeds", "0,1", "--json"]
    result = RUN.invoke(app, ["evaluate", "--data", str(data), *options])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["command"] == "evaluate"
    assert [(row["model"], row["observe_seconds"]) for row in document["results"]] == [
        ("mean", 1800.0),
        ("hawkes", 1800.0),
        ("mean", 3600.0),
        ("hawkes", 3600.0),
    ]
    row = document["results"][0]
    for key in ("model_version", "data", "split", "horizon_seconds", "n", "msle", "mape", "male", "pcc", "r2"):
        assert key in row
    assert row["data"] == "cascades.jsonl.zst"
    assert (row["split"], row["seeds"], row["level"], row["msle_std"]) == ("time", [0, 1], 0.8, 0.0)
    assert row["horizon_seconds"] == 86_400.0


def test_the_table_shows_every_model(app: typer.Typer, data: Path) -> None:
    result = RUN.invoke(app, ["evaluate", "--data", str(data), "--models", "seismic,hawkes"])
    assert result.exit_code == 0
    assert "seismic" in result.stdout
    assert "hawkes" in result.stdout


def test_markdown_is_a_table_with_spreads_over_seeds(app: typer.Typer, data: Path) -> None:
    options = ["--models", "mean", "--split", "random", "--observe", "1h", "--markdown"]
    lines = RUN.invoke(app, ["evaluate", "--data", str(data), *options]).stdout.splitlines()
    assert lines[0] == "| model | observe | n | MSLE | MAPE | MALE | PCC | R2 | coverage |"
    assert len(lines) == 3
    assert lines[2].startswith("| mean | 1h | ")
    assert "±" in lines[2]


def test_max_cascades_limits_the_work(app: typer.Typer, data: Path) -> None:
    options = ["--models", "hawkes", "--observe", "1h", "--max-cascades", "7", "--json"]
    result = RUN.invoke(app, ["evaluate", "--data", str(data), *options])
    assert json.loads(result.stdout)["results"][0]["n"] <= 7


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--split", "sideways"], "unknown split 'sideways'"),
        (["--models", "oracle"], "unknown model 'oracle'"),
        (["--observe", "2d"], "below --horizon"),
        (["--observe", "soon"], "'soon' is no duration"),
        (["--seeds", "a"], "whole numbers"),
        (["--models", "ridge@3"], "models list"),
    ],
)
def test_bad_options_are_one_clear_line(app: typer.Typer, data: Path, options: list[str], said: str) -> None:
    error = RUN.invoke(app, ["evaluate", "--data", str(data), *options]).exception
    assert isinstance(error, UserError)
    assert said in str(error)
    assert "\n" not in str(error)


def test_a_bad_file_is_named_with_its_line(app: typer.Typer, tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text("{\n")
    error = RUN.invoke(app, ["evaluate", "--data", str(path)]).exception
    assert isinstance(error, UserError)
    assert "bad.jsonl:1" in str(error)
