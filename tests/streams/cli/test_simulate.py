"""``cascadecast simulate``: an event file in order of time, or a comparison."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from graph import UserError, decode_event, read_cascades, read_events, write_events
from graph.simulation import Simulation
from graph.simulator import simulated_events
from streams.cli import simulate


def run(*arguments: str) -> Result:
    app = typer.Typer()
    simulate.register(app)
    return CliRunner().invoke(app, arguments)


def refusal(*arguments: str) -> str:
    result = run(*arguments)
    assert isinstance(result.exception, UserError)
    return str(result.exception)


def the_object(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def test_events_in_order_of_time_on_standard_output() -> None:
    result = run("--cascades", "20", "--seed", "3")
    lines = result.stdout.encode().splitlines()
    times = [decode_event(line).time for line in lines]  # type: ignore[union-attr]
    assert times == sorted(times)
    assert sorted(map(decode_event, lines), key=str) == sorted(simulated_events(Simulation(seed=3), 20), key=str)
    assert result.stderr == ""


@pytest.mark.parametrize("name", ["events.jsonl", "events.jsonl.gz", "events.jsonl.zst"])
def test_an_event_file_and_its_summary(tmp_path: Path, name: str) -> None:
    document = the_object(run("--cascades", "30", "-o", str(tmp_path / name), "--json"))
    (row,) = document["results"]
    assert document["command"] == "simulate"
    assert row["cascades"] == len(read_cascades(tmp_path / name)) == 30
    assert row["events"] == len(list(read_events(tmp_path / name)))
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_start_as_a_date() -> None:
    first = decode_event(
        run("--cascades", "1", "--start", "2024-03-01T00:00", "--hours", "0").stdout.split("\n")[0].encode()
    )
    assert first.time == pytest.approx(1709251200.0, abs=1.0)  # type: ignore[union-attr]


def test_beside_real_cascades(tmp_path: Path) -> None:
    real = tmp_path / "real.jsonl"
    write_events(real, simulated_events(Simulation(seed=9), 60))
    options = ("--compare", str(real), "--sizes", "5-100", "--figure", str(tmp_path / "figure.svg"))
    assert "| share of direct reshares, real |" in run(*options).stdout
    assert (tmp_path / "figure.svg").read_text().startswith("<svg")
    rows = the_object(run(*options, "--json"))["results"]
    assert {"statistic", "quantiles", "real", "simulated"} == set(rows[0])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--json",), "name a file with --output"),
        (("--figure", "x.svg"), "name real cascades with --compare"),
        (("--start", "noon"), "--start 'noon' is no time"),
        (("--branching-ratio", "2"), "branching_ratio is 2"),
        (("--compare", "nowhere.jsonl"), "nowhere.jsonl: cannot be read"),
        (("--compare", "nowhere.jsonl", "--sizes", "9-3"), "--sizes '9-3' is no range"),
        (("--cascades", "1", "-o", "no/such/place.jsonl"), "cannot be written"),
    ],
)
def test_what_cannot_be_done_is_said(arguments: tuple[str, ...], said: str) -> None:
    assert said in refusal(*arguments)
