"""``cascadecast evaluate``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from forecasters.hawkes import HawkesForecaster
from forecasters.labels import read_labelled_cascades
from forecasters.model_store import ModelStore
from forecasters.ridge import RidgeForecaster
from graph import Cascade, Event, Kind, write_events
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
    write_cascades(path, random_cascades(60))
    return path


def write_cascades(path: Path, cascades: Sequence[Cascade]) -> None:
    events = []
    for cascade in cascades:
        view = cascade.view()
        for i, age in enumerate(view.ages):
            kind, parent = (Kind.POST, None) if i == 0 else (Kind.REPOST, _id(cascade.id, int(view.parents[i])))
            time = view.root_time + float(age)
            events.append(Event(id=_id(cascade.id, i), cascade=cascade.id, kind=kind, time=time, parent=parent))
    write_events(path, events)


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


def test_the_last_column_compares_with_the_reference(app: typer.Typer, data: Path) -> None:
    options = ["--models", "mean,ridge", "--split", "time", "--observe", "1h", "--reference", "mean"]
    lines = RUN.invoke(app, ["evaluate", "--data", str(data), *options, "--markdown"]).stdout.splitlines()
    assert lines[0].endswith("| coverage | MSLE / mean |")
    assert lines[2].endswith("| 1 |")
    assert " to " in lines[3]
    table = RUN.invoke(app, ["evaluate", "--data", str(data), *options]).stdout
    assert "reference: mean; 95 % bootstrap" in table


def test_two_versions_of_a_model_are_told_apart(app: typer.Typer, data: Path, tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    for version in ("first", "second"):
        store.publish(HawkesForecaster(), version=version)
    store.promote("hawkes", "second")
    options = ["--models", "hawkes,hawkes@first", "--observe", "1h", "--markdown", "--reference", "hawkes@first"]
    result = RUN.invoke(app, ["evaluate", "--data", str(data), *options], env={"CASCADECAST_MODELS_DIR": str(tmp_path)})
    lines = result.stdout.splitlines()
    assert lines[0].endswith("| MSLE / hawkes@first |")
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| hawkes@second", "| hawkes@first"]


def test_a_training_file_serves_the_baselines_and_shares_no_cascade(
    app: typer.Typer, data: Path, tmp_path: Path
) -> None:
    whole = read_labelled_cascades(data)
    scored, training = tmp_path / "scored.jsonl", tmp_path / "training.jsonl"
    write_cascades(scored, whole[:25])
    write_cascades(training, whole[20:])
    options = ["--data", str(scored), "--train", str(training), "--observe", "1h", "--seeds", "0"]
    result = RUN.invoke(app, ["evaluate", *options, "--models", "ridge,lightgbm,hawkes", "--json"])
    assert result.exit_code == 0, result.output
    assert "5 cascades of --train are in --data too and were left out of the training" in result.stderr
    rows = {row["model"]: row for row in json.loads(result.stdout)["results"]}
    assert rows["ridge"]["train"] == ["training.jsonl"]
    assert rows["ridge"]["seeds"] == [0]
    assert rows["hawkes"]["seeds"] == []
    assert rows["hawkes"]["reference"] == "lightgbm"
    same = RUN.invoke(app, ["evaluate", "--data", str(scored), "--train", str(scored)]).exception
    assert "no cascade that is not in --data" in str(same)


def test_models_of_any_age_train_on_further_files_and_baselines_do_not(
    app: typer.Typer, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = read_labelled_cascades(data)
    own, other = tmp_path / "own.jsonl", tmp_path / "other.jsonl"
    write_cascades(own, whole[:30])
    write_cascades(other, whole[30:])
    fits: dict[str, set[str]] = {}
    fit = RidgeForecaster.fit

    def watched(self: RidgeForecaster, train: Any, validation: Any, *, seed: int = 0) -> RidgeForecaster:
        fits[f"{len({case.as_of - case.graph.root_time for case in train}) == 1}"] = {c.graph.id for c in train}
        return fit(self, train, validation, seed=seed)

    monkeypatch.setattr(RidgeForecaster, "fit", watched)
    options = ["--data", str(own), "--train", str(other), "--max-train", "20", "--split", "time", "--observe", "1h"]
    command = ["evaluate", *options, "--models", "ridge", "--seeds", "0", "--min-events", "1", "--json"]
    results = []
    for any_age in (False, True):
        monkeypatch.setattr("forecasters.evaluation.answers_any_age", lambda spec, any_age=any_age: any_age)
        result = RUN.invoke(app, command)
        assert result.exit_code == 0, result.output
        results.append(json.loads(result.stdout)["results"][0])
    further = {cascade.id for cascade in whole[30:50]}
    assert not fits["True"] & further
    assert fits["False"] & further
    assert fits["False"] <= {cascade.id for cascade in whole[:50]}
    assert results[0]["n"] == results[1]["n"]
    assert results[0]["msle"] != results[1]["msle"]
    assert [row["train"] for row in results] == [["other.jsonl"]] * 2


def test_a_plot_and_every_forecast_are_written(app: typer.Typer, data: Path, tmp_path: Path) -> None:
    plot, csv = tmp_path / "plot.svg", tmp_path / "all.csv"
    options = ["--models", "mean,ridge", "--split", "time", "--observe", "1h", "--seeds", "0", "--json"]
    result = RUN.invoke(
        app, ["evaluate", "--data", str(data), *options, "--plot", str(plot), "--predictions", str(csv)]
    )
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["results"]
    assert plot.read_text().startswith("<?xml")
    assert len(csv.read_text().splitlines()) == 1 + sum(row["n"] for row in rows)
    assert [level for level, _ in rows[0]["calibration"]][:2] == [0.1, 0.2]


def test_a_file_of_first_hours_simply_works(app: typer.Typer, tmp_path: Path) -> None:
    path = tmp_path / "hours.jsonl"
    lines = []
    for number in range(30):
        name = f"w{number}"
        root = {"id": name, "cascade": name, "kind": "post", "time": 1000.0 * number, "growth_24h": number}
        lines += [root]
        for i in range(12):
            event = {"id": f"{name}:{i}", "cascade": name, "kind": "repost", "time": 1000.0 * number + 60 * i}
            lines.append(event)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    options = ["--data", str(path), "--models", "mean,ridge", "--split", "random", "--seeds", "0"]
    result = RUN.invoke(app, ["evaluate", *options, "--observe", "10m,1h", "--json"])
    assert result.exit_code == 0, result.output
    assert [row["n"] for row in json.loads(result.stdout)["results"]] == [4, 4, 4, 4]
    late = RUN.invoke(app, ["evaluate", *options, "--observe", "2h"]).exception
    assert isinstance(late, UserError)
    assert "observe for 1 h at most, with a horizon of 24 h" in str(late)


def test_max_cascades_limits_the_work(app: typer.Typer, data: Path) -> None:
    options = ["--models", "hawkes", "--observe", "1h", "--max-cascades", "7", "--json"]
    result = RUN.invoke(app, ["evaluate", "--data", str(data), *options])
    assert json.loads(result.stdout)["results"][0]["n"] <= 7


def test_posts_are_a_stream_unless_each_is_to_stand_alone(app: typer.Typer, data: Path) -> None:
    """The shipped weights know several populations, so what a file's posts resemble changes what is expected."""
    command = ["evaluate", "--data", str(data), "--models", "concat,hawkes", "--observe", "1h", "--json"]
    in_stream, alone = (json.loads(RUN.invoke(app, [*command, *more]).stdout)["results"] for more in ([], ["--alone"]))
    assert [row["alone"] for row in (*in_stream, *alone)] == [False, False, True, True]
    concat, hawkes = zip(in_stream, alone, strict=True)
    assert concat[0]["msle"] != concat[1]["msle"]
    assert hawkes[0]["msle"] == hawkes[1]["msle"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--split", "sideways"], "unknown split 'sideways'"),
        (["--models", "oracle"], "unknown model 'oracle'"),
        (["--observe", "2d"], "below --horizon"),
        (["--observe", "soon"], "'soon' is no duration"),
        (["--seeds", "a"], "whole numbers"),
        (["--protocol", "fast"], "use paper or rolling"),
        (["--reference", "mean"], "--reference mean is not among the models"),
        (["--split", "time", "--protocol", "paper", "--train", "x.jsonl"], "--train does not go with --protocol paper"),
        (["--split", "time", "--max-train", "5"], "--max-train limits the files of --train"),
        (["--models", "concat:paper"], "to train this one give --train FILE"),
        (["--models", "concat:poem"], "its variants are"),
        (["--plot", "x.jpg"], "must end in .svg or .png"),
        (["--min-events", "9999"], "a smaller --min-events"),
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
