"""``cascadecast forecast`` and the frame that all commands share."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from graph import read_lines, write_events
from streams.cli import main
from streams.engine.forecast_file import forecast_events
from streams.engine.inference import load_service
from streams.settings import Settings
from tests.streams.conftest import random_stream


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["cascadecast", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


@pytest.fixture
def events_file(tmp_path: Path) -> Path:
    path = tmp_path / "events.jsonl.gz"
    write_events(path, sorted(random_stream(21), key=lambda event: event.cascade))  # one cascade after another
    return path


def test_forecasts_of_a_file_are_those_of_the_engine(
    events_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "out.jsonl.zst"
    assert run(monkeypatch, "forecast", str(events_file), "--models", "seismic", "-o", str(target), "--json") == 0
    written = [json.loads(line) for _, line in read_lines(str(target))]
    settings = Settings(models=("seismic",))
    expected = [record.id for record in forecast_events(random_stream(21), settings, load_service(settings))]
    assert sorted(record["id"] for record in written) == sorted(expected)
    summary = json.loads(capsys.readouterr().out)
    assert summary["command"] == "forecast"
    assert summary["results"][0]["published"] == {"seismic": len(expected)}
    assert summary["results"][0]["due"] == len(expected) + sum(summary["results"][0]["skipped"].values())


def test_two_runs_are_equal_to_the_byte(events_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        run(monkeypatch, "forecast", str(events_file), "--models", "seismic,hawkes", "-o", str(tmp_path / name))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() != b""


def test_a_bad_line_is_named_with_its_file_and_nothing_is_left_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.jsonl"
    good = '{"id":"a","cascade":"a","kind":"post","time":1}\n'
    bad.write_text(good + '{"id":"b","cascade":"a","kind":"like","time":2}\n')
    assert run(monkeypatch, "forecast", str(bad), "--models", "seismic", "-o", str(tmp_path / "out")) == 2
    error = capsys.readouterr().err
    assert f"{bad}:2" in error
    assert error.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.jsonl"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("forecast", "missing.jsonl", "--models", "seismic"), "missing.jsonl"),
        (("forecast", "-", "--models", "prophet"), "prophet"),
        (("forecast", "-", "--horizon", "soon"), "soon"),
        (("forecast", "-", "--json"), "--output"),
        (("forecast", "-", "--delay", "48h"), "below horizon_seconds"),
        (("worker", "--http-port", "99999"), "http_port"),
        (("worker", "--processes", "2", "--data-dir", f"{__file__}/data"), "cannot be made"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    arguments: Sequence[str], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, *arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert says in captured.err
    assert captured.err.count("\n") == 1


def test_every_command_explains_itself(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "--help") == 0
    listed = capsys.readouterr().out
    for command in (
        "demo", "worker", "forecast", "replay", "simulate", "import", "train", "evaluate", "models", "state", "topics",
        "broker", "bench", "doctor",
    ):  # fmt: skip
        assert f"\n  {command} " in listed
        assert run(monkeypatch, command, "--help") == 0
        assert len(capsys.readouterr().out) > 100


def test_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "--version") == 0
    assert capsys.readouterr().out.startswith("cascadecast 0.")


def test_help_answers_at_once_without_what_is_heavy() -> None:
    code = "import sys; from streams.cli.main import build_app; build_app(); print(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "faust", "confluent_kafka", "scipy"} & set(loaded)
