"""Two runs of benchmarks: what became worse is named, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from graph.errors import UserError
from streams.bench.compare import compare
from streams.bench.rows import row
from streams.cli.main import build_app


def written(path: Path, *rows: dict[str, Any], command: str = "bench pipeline") -> Path:
    with path.open("a") as file:
        file.write(json.dumps({"command": command, "seconds": 1.0, "results": rows}) + "\n")
    return path


def names(directory: Path, old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    for file in directory.iterdir():
        file.unlink()
    return compare(written(directory / "old", old), written(directory / "new", new))[1]


@given(ratio=st.floats(0.01, 100.0), change=st.floats(0.01, 100.0), unit=st.sampled_from(["events/s", "bytes", "s"]))
def test_a_rate_is_worse_when_it_falls_and_a_time_or_size_when_it_rises(
    tmp_path_factory: pytest.TempPathFactory, ratio: float, change: float, unit: str
) -> None:
    directory = tmp_path_factory.mktemp("results", numbered=True)
    old, new = row("x", ratio, unit, "other", 1.0), row("x", ratio * change, unit, "other", 1.0)
    told = names(directory, old, new)
    measured = new["ratio"] / old["ratio"]
    assert bool(told) is (measured < 0.85 if unit == "events/s" else measured > 1.15)


def test_rows_are_told_apart_by_command_name_and_reference(tmp_path: Path) -> None:
    old = written(tmp_path / "old", row("x", 10, "events/s", "faust", 1), row("x", 10, "events/s", "quix", 5))
    written(old, row("x", 1, "events/s", "faust", 1), command="bench other")
    new = written(tmp_path / "new", row("x", 10, "events/s", "faust", 1), row("x", 10, "events/s", "quix", 10))
    rows, worse = compare(old, new)
    assert len(rows) == 2
    assert worse == ["pipeline: x; quix"]


def test_counts_and_rows_without_a_reference_are_not_compared(tmp_path: Path) -> None:
    old = written(tmp_path / "old", row("n", 9, "events", "of", 9), row("y", 5, "s"), row("x", 1, "s", "o", 1))
    new = written(tmp_path / "new", row("n", 1, "events", "of", 9), row("y", 50, "s"), row("x", 1, "s", "o", 1))
    rows, worse = compare(old, new)
    assert ([one["name"] for one in rows], worse) == (["pipeline: x; o"], [])


@pytest.mark.parametrize(("content", "said"), [("{", "line 1: not a result"), ("", "no ratio in common")])
def test_what_is_no_result_is_said(tmp_path: Path, content: str, said: str) -> None:
    good, bad = written(tmp_path / "good", row("x", 1, "s", "o", 1)), tmp_path / "bad"
    bad.write_text(content)
    with pytest.raises(UserError, match=said):
        compare(bad, good)
    with pytest.raises(UserError, match="cannot be read"):
        compare(tmp_path / "none", good)


def test_the_command_ends_with_1_when_something_became_worse(tmp_path: Path) -> None:
    old, new = (written(tmp_path / name, row("x", ratio, "events/s", "o", 1)) for name, ratio in (("a", 2), ("b", 1)))
    run = CliRunner().invoke
    worse = run(build_app(), ["bench", "compare", str(old), str(new), "--json"])
    assert worse.exit_code == 1
    assert json.loads(worse.stdout)["results"][0]["ratio"] == 0.5
    assert run(build_app(), ["bench", "compare", str(new), str(old), "--json"]).exit_code == 0
