"""``cascadecast import``: an event file whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from graph import UserError, decode_event, read_events
from streams.cli import import_

LINE = "c1\troot\t1464710400\t2\troot:0 root/ann:10 root/ann/bob:25\n"


def run(*arguments: str, stdin: str | None = None) -> Result:
    app = typer.Typer()
    import_.register(app)
    return CliRunner().invoke(app, arguments, input=stdin)


def test_from_standard_input_to_standard_output() -> None:
    result = run("casflow", "-", stdin=LINE)
    assert result.exit_code == 0
    events = [decode_event(line) for line in result.stdout.encode().splitlines()]
    assert [event.user for event in events] == ["root", "ann", "bob"]  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz", "out.jsonl.zst"])
def test_to_a_file_with_a_summary(tmp_path: Path, name: str) -> None:
    source = tmp_path / "data.txt"
    source.write_text(LINE)
    result = run("deephawkes", str(source), "-o", str(tmp_path / name), "--json")
    (row,) = json.loads(result.stdout)["results"]
    assert (row["cascades"], row["events"], row["format"]) == (1, 3, "deephawkes")
    assert len(list(read_events(tmp_path / name))) == 3


def test_options_reach_the_importer(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("topic|when\na|5\n")
    out = tmp_path / "out.jsonl"
    arguments = ("--column", "cascade=topic", "--column", "time=when", "--delimiter", "|", "--source-name", "mine")
    assert run("csv", str(table), *arguments, "-o", str(out)).exit_code == 0
    (event,) = read_events(out)
    assert (event.id, event.time, event.source) == ("a", 5.0, "mine")
    table.write_text("a\tr\t0\t1\tr:0 r/b:2")
    assert run("casflow", str(table), "--time-unit", "days", "-o", str(out)).exit_code == 0
    assert [event.time for event in read_events(out)] == [0.0, 172_800.0]


def test_a_bad_line_leaves_no_file_behind(tmp_path: Path) -> None:
    source = tmp_path / "data.txt"
    source.write_text(LINE + "nonsense\n")
    result = run("casflow", str(source), "-o", str(tmp_path / "out.jsonl"))
    assert isinstance(result.exception, UserError)
    assert str(result.exception).startswith(f"{source}:2: 1 columns instead of 5;")
    assert [path.name for path in tmp_path.iterdir()] == ["data.txt"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("xml", "-"), "unknown format 'xml': choose one of casflow, deephawkes, twitter-rumour-trees, csv"),
        (("csv", "-", "--json"), "name a file with --output"),
        (("csv", "-", "--column", "time"), "--column 'time' maps nothing: write KEY=NAME"),
        (("csv", "-", "--delimiter", "||"), "--delimiter '||' is not one character"),
        (("casflow", "-", "--time-unit", "years"), "choose one of seconds, minutes, hours, days"),
        (("casflow", "nowhere.txt"), "nowhere.txt: cannot be read"),
    ],
)
def test_what_cannot_be_done_is_said(arguments: tuple[str, ...], said: str) -> None:
    result = run(*arguments)
    assert isinstance(result.exception, UserError)
    assert said in str(result.exception)
