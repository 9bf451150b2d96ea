"""``cascadecast models``."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from forecasters.hawkes import HawkesForecaster
from forecasters.model_store import SHIPPED_WEIGHTS, ModelStore
from graph import write_events
from graph.errors import UserError
from graph.simulation import Simulation
from graph.simulator import simulated_events
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
    for version in ("mine-1", "mine-2"):
        ModelStore(tmp_path).publish(HawkesForecaster(), version=version, card=f"# Card of {version}\n")
    return tmp_path


@pytest.fixture(scope="module")
def shipped() -> str:
    """The shipped champion of Hawkes."""
    return ModelStore(SHIPPED_WEIGHTS, shipped=True).aliases("hawkes")["champion"]


def rows(app: typer.Typer, *arguments: str) -> list[dict[str, Any]]:
    result = RUN.invoke(app, ["models", *arguments, "--json"])
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)["results"]
    return found


def test_lists_own_and_shipped_models(app: typer.Typer, store: Path) -> None:
    found = rows(app, "list", "--store", str(store))
    own = [row for row in found if not row["shipped"]]
    assert [(row["model"], row["model_version"], row["aliases"]) for row in own] == [
        ("hawkes", "mine-1", ["champion"]),
        ("hawkes", "mine-2", []),
    ]
    theirs = {row["model"]: row["aliases"] for row in found if row["shipped"] and row["aliases"]}
    assert "champion" in theirs["seismic"]
    assert "hawkes" not in theirs, "one's own champion comes first"
    assert "hawkes" in {row["model"] for row in found if row["shipped"]}
    assert "hawkes" in RUN.invoke(app, ["models", "list", "--store", str(store)]).stdout


def test_shows_the_card_and_the_configuration(app: typer.Typer, store: Path) -> None:
    assert "# Card of mine-2" in RUN.invoke(app, ["models", "show", "hawkes@mine-2", "--store", str(store)]).stdout
    (row,) = rows(app, "show", "hawkes", "--store", str(store))
    assert row["model_version"] == "mine-1"
    assert row["config"]["forecaster"] == "hawkes"


def test_promotes_and_rolls_back(app: typer.Typer, store: Path, shipped: str) -> None:
    (row,) = rows(app, "promote", "hawkes", "mine-2", "--store", str(store))
    assert row["aliases"] == ["champion"]
    (row,) = rows(app, "rollback", "hawkes", "--store", str(store))
    assert row["model_version"] == "mine-1"
    (row,) = rows(app, "rollback", "hawkes", "--store", str(store))
    assert (row["model_version"], row["shipped"]) == (shipped, True), "what was in use before the first of one's own"


def test_a_challenger_comes_is_promoted_and_goes(app: typer.Typer, store: Path) -> None:
    named = ["hawkes", "mine-2", "--alias", "challenger", "--store", str(store)]
    assert RUN.invoke(app, ["models", "promote", *named]).stdout == "hawkes: challenger is version mine-2\n"
    (row,) = rows(app, "promote", "hawkes", "challenger", "--store", str(store))
    assert (row["model_version"], row["aliases"]) == ("mine-2", ["champion", "challenger"])
    gone = RUN.invoke(app, ["models", "rollback", "hawkes", "--alias", "challenger", "--store", str(store)])
    assert gone.stdout == "hawkes: there is no challenger any more\n"


def test_a_shipped_version_can_be_promoted_in_ones_own_store(app: typer.Typer, store: Path, shipped: str) -> None:
    told = RUN.invoke(app, ["models", "promote", "hawkes", shipped, "--store", str(store)])
    assert told.stdout == f"hawkes: champion is version {shipped} (shipped)\n"
    (row,) = rows(app, "rollback", "hawkes", "--store", str(store))
    assert row["model_version"] == "mine-1"


def test_a_promotion_may_count_from_an_event_time(app: typer.Typer, store: Path) -> None:
    given = ["hawkes", "mine-2", "--from", "2012-09-11T03:34:22Z", "--store", str(store)]
    (row,) = rows(app, "promote", *given)
    assert row["effective_from"] == {"champion": 1347334462.0}
    told = RUN.invoke(app, ["models", "promote", *given]).stdout
    assert told == "hawkes: champion is version mine-2 from 2012-09-11T03:34:22+00:00 on\n"
    assert ModelStore(store).promotions("hawkes").tenures("champion") == (
        (-math.inf, "mine-1"),
        (1347334462.0, "mine-2"),
    )


def test_a_version_that_does_not_work_is_not_promoted(app: typer.Typer, store: Path) -> None:
    config = store / "hawkes" / "mine-2" / "config.json"
    config.write_text(config.read_text().replace('"settings"', '"sittings"'))
    error = RUN.invoke(app, ["models", "promote", "hawkes", "mine-2", "--store", str(store)]).exception
    assert isinstance(error, UserError)
    assert ModelStore(store).aliases("hawkes")["champion"] == "mine-1"


def test_compares_champion_and_challenger(app: typer.Typer, store: Path, tmp_path: Path) -> None:
    data = tmp_path / "posts.jsonl"
    write_events(data, simulated_events(Simulation(seed=3, hours=2.0, mean_size=60.0), 12))
    named = ["hawkes", "mine-2", "--alias", "challenger", "--store", str(store)]
    RUN.invoke(app, ["models", "promote", *named])
    found = rows(app, "compare", "hawkes", "--data", str(data), "--observe", "30m,3h", "--store", str(store))
    assert [row["observe_seconds"] for row in found] == [1800.0, 10800.0, None]
    assert all(row["difference"] == 0.0 and row["better"] is None for row in found), "they are the same model"
    assert found[-1]["n"] == found[0]["n"] + found[1]["n"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "ridge"], "cascadecast train ridge"),
        (["show", "oracle"], "unknown model"),
        (["show", "../x"], "no model name"),
        (["promote", "hawkes", "9"], "versions: mine-1, mine-2; shipped: "),
        (["promote", "hawkes", "mine-2", "--alias", "emperor"], "unknown alias"),
        (["promote", "hawkes", "mine-2", "--from", "yesterday"], "ISO 8601"),
        (["promote", "hawkes", "mine-2", "--from", "2012-09-11T03:34:22"], "with a zone"),
        (["promote", "hawkes", "mine-2", "--from", "nan"], "seconds since 1970"),
        (["promote", "../x", "1"], "no model name"),
        (["promote", "hawkes", "../../x"], "no version"),
        (["rollback", "seismic"], "no earlier champion"),
        (["compare", "hawkes", "--data", "none.jsonl"], "hawkes@challenger"),
        (["compare", "hawkes", "--data", "none.jsonl", "--observe", "25h"], "below --horizon"),
    ],
)
def test_mistakes_are_one_clear_line(app: typer.Typer, store: Path, arguments: list[str], said: str) -> None:
    error = RUN.invoke(app, ["models", *arguments, "--store", str(store)]).exception
    assert isinstance(error, UserError)
    assert said in str(error)
    assert "\n" not in str(error)
