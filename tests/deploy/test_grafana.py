"""The committed dashboards are those of the code, and as the Grafana community's linter wants them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.grafana.__main__ import BOARDS, FOLDER, text_of
from deploy.grafana.board import Board
from tests.deploy.dashboards import dashboards, panels

DOCS = Path(__file__).parents[2] / "docs" / "dashboards.md"

EXCLUSIONS = yaml.safe_load((FOLDER / ".lint").read_text())["exclusions"]
"""What the community's linter is told to leave alone."""

BOARD_FILES = dashboards()
PANELS = [
    pytest.param(name, panel, id=f"{name}-{panel.get('title')}")
    for name, dashboard in BOARD_FILES.items()
    for panel in panels(dashboard)
]


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_the_committed_json_is_what_the_code_builds(board: Board) -> None:
    assert (FOLDER / f"{board.name}.json").read_text() == text_of(board), "run python -m deploy.grafana"


def test_there_are_no_others() -> None:
    assert set(BOARD_FILES) == {board.name for board in BOARDS}


@pytest.mark.parametrize("name", BOARD_FILES)
def test_a_reader_chooses_source_job_and_instance(name: str) -> None:
    variables = {variable["name"]: variable for variable in BOARD_FILES[name]["templating"]["list"]}
    assert list(variables) == ["datasource", "job", "instance"]
    assert (variables["datasource"]["type"], variables["datasource"]["query"]) == ("datasource", "prometheus")
    for choice in ("job", "instance"):
        assert variables[choice]["datasource"]["uid"] == "${datasource}"
        assert variables[choice]["multi"]
        assert variables[choice]["allValue"] == ".+"
        assert variables[choice]["label"]
        assert variables[choice]["refresh"] == 2, "anew whenever the time range changes"
        assert re.fullmatch(rf"label_values\(cascadecast_ready.*, {choice}\)", variables[choice]["query"])


@pytest.mark.parametrize("name", BOARD_FILES)
def test_a_dashboard_has_an_id_of_its_own_and_links_to_runbook_and_live_page(name: str) -> None:
    dashboard = BOARD_FILES[name]
    assert dashboard["uid"] == f"cascadecast-{name}"
    assert dashboard["editable"]
    links = {link["title"]: link["url"] for link in dashboard["links"]}
    assert "runbook.md" in links["Runbook"]
    assert links["Live page"] == "http://${instance:raw}/"


@pytest.mark.parametrize(("name", "panel"), PANELS)
def test_a_panel_says_what_it_shows_and_in_which_unit(name: str, panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert len(panel["description"]) > 10
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


@pytest.mark.parametrize(("name", "panel"), PANELS)
def test_a_query_asks_what_the_reader_chose_over_the_interval_that_fits(name: str, panel: dict[str, Any]) -> None:
    assert panel["targets"]
    for target in panel["targets"]:
        expression = target["expr"]
        asked = re.findall(r"\b((?:[\w:]*(?:cascadecast|process)_[\w:]+|up)\b)(\S{,12})", expression)
        assert asked
        assert [metric for metric, after in asked if not after.startswith('{job=~"$job"')] == []
        assert "_total" not in re.sub(r"\b(?:i?rate|increase)\([^()]*\)", "", expression)
        assert not re.search(r"\b(i?rate)\([^\[]*\[(?!\$__rate_interval|1h)", expression)
        assert target["datasource"]["uid"] == "${datasource}"


def test_what_the_linter_leaves_alone_is_there_and_has_a_reason() -> None:
    titles = {(one["title"], panel["title"]) for one in BOARD_FILES.values() for panel in panels(one)}
    for rule in EXCLUSIONS.values():
        entries = rule.get("entries", [])
        assert all(entry["reason"] for entry in entries or [rule])
        assert {(entry["dashboard"], entry["panel"]) for entry in entries} <= titles


def test_panels_have_places_of_their_own() -> None:
    for dashboard in BOARD_FILES.values():
        taken: set[tuple[int, int]] = set()
        for panel in panels(dashboard):
            at = panel["gridPos"]
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            assert at["x"] + at["w"] <= 24
            assert not cells & taken, panel["title"]
            taken |= cells


def test_every_rows_question_is_in_the_docs() -> None:
    told = DOCS.read_text()
    for board in BOARDS:
        for row in board.rows:
            assert f"| {board.title} | {row.title} | {row.question} |" in told


def test_metrics_never_name_a_post_or_a_user() -> None:
    for dashboard in BOARD_FILES.values():
        assert not re.search(r"by \([^)]*(cascade|user|post)\b", json.dumps(dashboard))
