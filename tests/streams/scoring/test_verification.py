"""Scores are verified from the events by another path: right ones pass, and each kind of wrong one is found."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from forecasters import metrics
from forecasters.learning_ages import BUCKET_NAMES, bucket_of
from graph import Event, Kind, write_events
from streams.engine.forecast_file import DRAIN_SECONDS, forecast_events
from streams.records import ForecastRecord, encode_record
from streams.scoring.scores import ScoreRecord
from streams.scoring.verification import PublishedForecast, RecordedPartition, ScoreVerdict, verify_scores
from streams.settings import Settings
from tests.streams.cli.test_forecast import run
from tests.streams.learning_engine import learning_settings, long_stream, service

Recorded = tuple[list[Event], list[ForecastRecord], list[ScoreRecord]]


def troubled_stream(seed: int) -> list[Event]:
    """Events late, twice, and taken back: reshares before and after the horizon, and whole posts."""
    rng = random.Random(seed)
    events = long_stream(seed, cascades=50)
    for event in list(events):
        chance = rng.random()
        if chance < 0.1:
            target = event.id if event.kind is not Kind.POST or rng.random() < 0.3 else f"{event.id}/0"
            at = event.time + rng.uniform(1, 10_000)
            events.append(Event(f"undo-{event.id}", event.cascade, Kind.UNDO, at, parent=target))
        elif chance < 0.2:
            events.append(msgspec.structs.replace(event, time=event.time + 5.0))
    return sorted(events, key=lambda event: event.time + rng.expovariate(1 / 60) * (rng.random() < 0.2))


def made(events: list[Event], settings: Settings) -> Recorded:
    scores: list[ScoreRecord] = []
    forecasts = list(forecast_events(events, settings, service(settings), on_score=scores.append))
    return events, forecasts, scores


def verified(
    recorded: Recorded, settings: Settings, *, begins_late: bool = False, is_over: bool = True
) -> ScoreVerdict:
    events, forecasts, scores = recorded
    said = [msgspec.convert(msgspec.to_builtins(one), PublishedForecast) for one in forecasts]
    end = max(event.time for event in events) + DRAIN_SECONDS
    return verify_scores([RecordedPartition(0, [*events, end], said, scores, is_over, begins_late)], settings)


@pytest.fixture(scope="module")
def recorded() -> Recorded:
    return made(troubled_stream(1), learning_settings(allowed_lateness_seconds=20))


SETTINGS = learning_settings(allowed_lateness_seconds=20)


@pytest.mark.parametrize("seed", range(4))
def test_the_scores_of_a_run_are_what_its_events_make_them(seed: int) -> None:
    verdict = verified(made(troubled_stream(seed), SETTINGS), SETTINGS)
    assert verdict.is_equal
    assert verdict.equal == verdict.scores > 100
    assert verdict.largest_difference < 1e-12
    assert verdict.waiting == 0


def test_the_means_are_those_of_the_evaluation(recorded: Recorded) -> None:
    verdict = verified(recorded, SETTINGS)
    group = max(verdict.groups, key=lambda one: one.n)
    ages = bucket_of(np.array([score.age_seconds for score in recorded[2]])).tolist()
    some = [
        score
        for score, age in zip(recorded[2], ages, strict=True)
        if (score.model, BUCKET_NAMES[age]) == (group.model, group.age)
    ]
    observed = np.array([score.observed for score in some])
    said = np.array([score.expected for score in some]) - observed
    truth = np.maximum(0, np.array([score.actual for score in some]) - observed)
    assert group.n == len(some)
    assert group.msle == pytest.approx(metrics.msle(said, truth), abs=1e-12)
    assert group.mape == pytest.approx(metrics.mape(said, truth), abs=1e-12)
    assert sum(one.n for one in verdict.groups) == len(recorded[2])


Change = Callable[[list[ScoreRecord]], list[ScoreRecord]]


def replaced(**fields: Any) -> Change:
    return lambda scores: [msgspec.structs.replace(scores[7], **fields), *scores[:7], *scores[8:]]


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (replaced(log_error=0.123), "differing"),
        (replaced(actual=4711), "differing"),
        (replaced(covered=None), "differing"),
        (replaced(model="another"), "differing"),
        (lambda scores: [*scores[:7], *scores[8:]], "missing"),
        (lambda scores: [msgspec.structs.replace(scores[0], id="invented"), *scores], "extra"),
        (lambda scores: [msgspec.structs.replace(scores[0], high=1e9), *scores], "differing"),
    ],
)
def test_a_wrong_score_is_found(recorded: Recorded, change: Change, kind: str) -> None:
    events, forecasts, scores = recorded
    changed = change(scores)
    if changed[0].covered is None:
        changed[0] = msgspec.structs.replace(changed[0], covered=not scores[7].covered)
    verdict = verified((events, forecasts, changed), SETTINGS)
    assert not verdict.is_equal
    assert len(getattr(verdict, kind)) >= 1


def test_a_score_that_differs_in_the_ninth_digit_is_told_from_one_in_the_tenth(recorded: Recorded) -> None:
    events, forecasts, scores = recorded
    for by, is_equal in ((5e-9, False), (1e-10, True)):
        off = msgspec.structs.replace(scores[3], log_error=scores[3].log_error + by)
        verdict = verified((events, forecasts, [*scores[:3], off, *scores[4:]]), SETTINGS)
        assert verdict.is_equal == is_equal
        assert verdict.largest_difference == pytest.approx(by, rel=0.01)


def test_a_repeat_is_no_mistake_and_a_stream_that_runs_on_is_verified_up_to_its_last_score(recorded: Recorded) -> None:
    events, forecasts, scores = recorded
    first = sorted(scores, key=lambda score: score.as_of - score.age_seconds)[: len(scores) // 2]
    verdict = verified((events, forecasts, [*first, first[0]]), SETTINGS, is_over=False)
    assert verdict.repeats == 1
    assert verdict.waiting > 0
    assert not verdict.differing
    assert not verdict.extra
    assert len(verdict.missing) <= 4, "what matured with the last of them"


def test_scores_whose_events_are_gone_cannot_be_compared(recorded: Recorded) -> None:
    events, forecasts, scores = recorded
    gone = events[0].cascade
    rest = [event for event in events if event.cascade != gone]
    known = [forecast for forecast in forecasts if forecast.cascade != gone]
    verdict = verified((rest, known, scores), SETTINGS, begins_late=True)
    assert verdict.is_equal
    assert verdict.not_comparable == sum(score.cascade == gone for score in scores) > 0


# --- the command


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Options of a run with three partitions."""
    events, forecasts, scores = (tmp_path / name for name in ("events.jsonl", "out.jsonl.gz", "scores.jsonl"))
    write_events(events, long_stream(24, cascades=20))
    run(
        monkeypatch, "forecast", str(events), "--models", "hawkes", "--horizon", "2h", "--partitions", "3",
        "--output", str(forecasts), "--scores", str(scores),
    )  # fmt: skip
    return [
        "--events", str(events), "--forecasts", str(forecasts), "--scores", str(scores),
        "--horizon", "2h", "--partitions", "3",
    ]  # fmt: skip


def test_the_command_verifies_a_run(
    files: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "scores", "verify", *files, "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)["results"]
    assert row["scores"] == row["equal"] > 20
    assert row["largest_difference"] < 1e-12
    assert {group["model"] for group in row["groups"]} == {"hawkes"}
    assert run(monkeypatch, "scores", "verify", *files) == 0
    assert "scores as the events make them" in capsys.readouterr().out


def test_the_command_ends_with_1_when_a_score_is_missing(
    files: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = Path(files[5])
    lines = scores.read_bytes().splitlines(keepends=True)
    scores.write_bytes(b"".join(lines[1:]))
    assert run(monkeypatch, "scores", "verify", *files) == 1
    assert f"missing: forecast {json.loads(lines[0])['forecast']}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--scores", "x"], "give all three"),
        (["--fold", "24h"], "name it with --events"),
    ],
)
def test_half_a_run_is_refused(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "scores", "verify", *arguments) == 2
    assert said in capsys.readouterr().err


def test_a_line_that_is_no_score_is_named(
    files: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(files[5]).write_bytes(encode_lines([{"id": "x"}]))
    assert run(monkeypatch, "scores", "verify", *files) == 2
    assert "scores.jsonl:1: not a score" in capsys.readouterr().err


def encode_lines(records: Iterable[Any]) -> bytes:
    return b"".join(encode_record(record) + b"\n" for record in records)
