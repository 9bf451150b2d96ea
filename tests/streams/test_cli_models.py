"""``cascadecast models``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from forecasters.hawkes import HawkesForecaster
from forecasters.model_store import ModelStore
from graph.errors import UserError
from streams.cli import models

RUN = CliRunner()


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    app = typer.Typer()
    models.register(app)
    app.callback()(lambda: None)
    return app


@pytest.fixture
def store(tmp_path: Path) -> Path:
    for version in ("1", "2"):
        ModelStore(tmp_path).publish(HawkesForecaster(), version=version, card=f"# Card of {version}\n")
    return tmp_path


def rows(app: typer.Typer, *arguments: str) -> list[dict[str, Any]]:
    result = RUN.invoke(app, ["models", *arguments, "--json"])
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)["results"]
    return found


def test_lists_own_and_shipped_models(app: typer.Typer, store: Path) -> None:
    found = rows(app, "list", "--store", str(store))
    own = [row for row in found if not row["shipped"]]
    assert [(row["model"], row["model_version"], row["aliases"]) for row in own] == [
        ("hawkes", "1", ["champion"]),
        ("hawkes", "2", []),
    ]
    assert {row["model"] for row in found if row["shipped"]} >= {"seismic", "hawkes"}
    assert "hawkes" in RUN.invoke(app, ["models", "list", "--store", str(store)]).stdout


def test_shows_the_card_and_the_configuration(app: typer.Typer, store: Path) -> None:
    assert "# Card of 2" in RUN.invoke(app, ["models", "show", "hawkes@2", "--store", str(store)]).stdout
    (row,) = rows(app, "show", "hawkes", "--store", str(store))
    assert row["model_version"] == "1"
    assert row["config"]["forecaster"] == "hawkes"


def test_promotes_and_rolls_back(app: typer.Typer, store: Path) -> None:
    (row,) = rows(app, "promote", "hawkes", "2", "--store", str(store))
    assert row["aliases"] == ["champion"]
    (row,) = rows(app, "rollback", "hawkes", "--store", str(store))
    assert row["model_version"] == "1"
    told = RUN.invoke(app, ["models", "promote", "hawkes", "2", "--alias", "challenger", "--store", str(store)])
    assert told.stdout == "hawkes: challenger is version 2\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "ridge"], "cascadecast train ridge"),
        (["show", "oracle"], "unknown model"),
        (["show", "../x"], "no model name"),
        (["promote", "hawkes", "9"], "versions: 1, 2"),
        (["promote", "hawkes", "2", "--alias", "emperor"], "unknown alias"),
        (["rollback", "hawkes"], "no earlier champion"),
    ],
)
def test_mistakes_are_one_clear_line(app: typer.Typer, store: Path, arguments: list[str], said: str) -> None:
    error = RUN.invoke(app, ["models", *arguments, "--store", str(store)]).exception
    assert isinstance(error, UserError)
    assert said in str(error)
    assert "\n" not in str(error)
