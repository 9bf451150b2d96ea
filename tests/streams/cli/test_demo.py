"""``cascadecast demo`` as a command: what it refuses, what it prints, how it exits. Nothing is started here."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from graph.errors import UserError
from streams.cli import demo as command
from streams.demo import session
from streams.demo.board import Board
from streams.demo.departure import Departure, Leave
from streams.demo.display import Display
from streams.demo.live_view import Vitals
from streams.demo.rate import Rate
from streams.demo.session import DemoError, DemoPlan, DemoSummary
from streams.demo.workers import WorkerPlan, end_of_log, worker_command

APP = typer.Typer()
command.register(APP)
APP.command("other")(lambda: None)  # one command alone would not take its name


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[DemoPlan]:
    """The plans that would have been run."""
    seen: list[DemoPlan] = []

    def run(plan: DemoPlan, display: Display) -> DemoSummary:
        seen.append(plan)
        vitals = Vitals("127.0.0.1:9", ["http://127.0.0.1:8/"], plan.speed)
        return DemoSummary(Board("concat"), replace(vitals, forecasts=7, first_forecast_seconds=4.25))

    monkeypatch.setattr(session, "run_demo", run)
    return seen


def ending(monkeypatch: pytest.MonkeyPatch, outcome: int | Exception | None) -> None:
    def run(plan: DemoPlan, display: Display) -> DemoSummary:
        if isinstance(outcome, Exception):
            raise outcome
        return DemoSummary(Board("concat"), Vitals("", (), 60.0), outcome)

    monkeypatch.setattr(session, "run_demo", run)


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(APP, ["demo", *arguments])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--fold", "24h"], "add --events FILE"),
        (["--events", "/no/such/file.jsonl"], "/no/such/file.jsonl: no such event file"),
        (["--speed", "fast"], "'fast' is no number above zero"),
        (["--speed", "0"], "'0' is no number above zero"),
        (["--speed", "-1"], "'-1' is no number above zero"),
        (["--speed", "nan"], "'nan' is no number above zero"),
        (["--models", "concat,nonsense"], "'nonsense'; the models are"),
        (["--models", " , "], "name at least one"),
        (["--warmup", "soon"], "'soon' is no duration"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_starts(
    plans: list[DemoPlan], arguments: list[str], told: str
) -> None:
    result = invoke(*arguments)
    assert isinstance(result.exception, UserError)
    assert told in str(result.exception)
    assert "\n" not in str(result.exception)
    assert plans == []


def test_the_defaults(plans: list[DemoPlan]) -> None:
    assert invoke().exit_code == 0
    (plan,) = plans
    assert plan.models == ("blend", "concat", "casft", "autocas")
    assert (plan.speed, plan.workers, plan.partitions, plan.seconds) == (60.0, 1, 4, None)
    assert plan.bootstrap_servers is None


def test_speed_and_models_are_understood(plans: list[DemoPlan]) -> None:
    assert invoke("--speed", "max", "--models", "hawkes@champion, seismic").exit_code == 0
    assert invoke("--speed", "100x").exit_code == 0
    assert math.isinf(plans[0].speed)
    assert plans[0].models == ("hawkes@champion", "seismic")
    assert plans[1].speed == 100.0


def test_json_is_exactly_one_object(plans: list[DemoPlan]) -> None:
    result = invoke("--json", "--speed", "max", "--seconds", "5")
    document = json.loads(result.stdout)
    assert result.stdout.count("\n") == 1
    assert document["command"] == "demo"
    (row,) = document["results"]
    assert row["forecasts_received"] == 7
    assert row["first_forecast_seconds"] == 4.25
    assert row["speed"] == "max"
    assert row["ended_by"] is None


@pytest.mark.parametrize(
    ("outcome", "code"), [(None, 0), (signal.SIGINT, 0), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_how_it_ended_decides_the_exit_code(monkeypatch: pytest.MonkeyPatch, outcome: int | None, code: int) -> None:
    ending(monkeypatch, outcome)
    assert invoke().exit_code == code


def test_a_part_that_ended_by_itself_is_told_with_its_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    ending(monkeypatch, DemoError("worker 1 ended with status 70; the end of its log:\n  boom"))
    result = invoke()
    assert result.exit_code == 1
    assert result.stderr == "cascadecast: worker 1 ended with status 70; the end of its log:\n  boom\n"


def test_a_short_run_without_a_forecast_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    ending(monkeypatch, None)
    assert "give it more --seconds" in invoke("--seconds", "1").stdout


def test_a_picture_is_written_whole(plans: list[DemoPlan], tmp_path: Path) -> None:
    target = tmp_path / "view.svg"
    assert invoke("--picture", str(target)).exit_code == 0
    assert target.read_text().startswith("<svg")
    assert list(tmp_path.iterdir()) == [target]


class TestDeparture:
    @pytest.mark.parametrize("number", Departure.SIGNALS)
    def test_the_first_signal_leaves_the_second_does_not_break_the_cleaning_up(self, number: int) -> None:
        before = signal.getsignal(number)
        departure = Departure()
        with departure.listening():
            with pytest.raises(Leave):
                os.kill(os.getpid(), number)
            os.kill(os.getpid(), number)
        assert departure.asked_by == number
        assert signal.getsignal(number) == before

    def test_a_signal_during_the_cleaning_up_is_passed_over(self) -> None:
        departure = Departure()
        with departure.listening():
            departure.begin_to_end()
            os.kill(os.getpid(), signal.SIGINT)
        assert departure.asked_by is None

    def test_a_signal_whose_exception_was_lost_is_not(self) -> None:
        departure = Departure()
        with departure.listening():
            with contextlib.suppress(Leave):  # as a callback does that nobody listens to
                os.kill(os.getpid(), signal.SIGTERM)
            with pytest.raises(Leave):
                departure.check()


class TestWorkerPlan:
    PLAN = WorkerPlan("127.0.0.1:9092", "demo-1", "demo-1", ("concat", "hawkes"))

    def test_the_users_settings_win_where_they_only_tune(self) -> None:
        made = self.PLAN.environment(
            {
                "CASCADECAST_MAX_BACKLOG": "7",
                "CASCADECAST_TOPIC_PREFIX": "theirs",
                "CASCADECAST_HTTP_HOST": "0.0.0.0",
            }
        )
        assert made["CASCADECAST_MAX_BACKLOG"] == "7"
        assert made["CASCADECAST_TOPIC_PREFIX"] == "demo-1"
        assert made["CASCADECAST_HTTP_HOST"] == "127.0.0.1"

    def test_the_demos_own_kafka_asks_for_nothing_and_its_workers_have_no_name_of_their_own(self) -> None:
        theirs = {"CASCADECAST_KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "CASCADECAST_KAFKA_PASSWORD": "hunter2"}
        once = {"CASCADECAST_INSTANCE_ID": "one", "CASCADECAST_HTTP_TOKEN_FILE": "token"}
        own = WorkerPlan("127.0.0.1:9092", "demo-1", "demo-1", ("hawkes",), own_kafka=True).environment(theirs | once)
        assert own["CASCADECAST_KAFKA_SECURITY_PROTOCOL"] == "PLAINTEXT"
        assert not {"CASCADECAST_KAFKA_PASSWORD", *once} & own.keys()
        other = self.PLAN.environment(theirs | once)
        assert other.items() >= theirs.items()

    def test_the_command_is_that_of_this_interpreter_and_no_folder_shadows_it(self) -> None:
        assert worker_command()[1:] == ["-P", "-m", "streams.cli"]
        assert self.PLAN.arguments(Path("/data"), 6066)[:3] == ["worker", "--bootstrap-servers", "127.0.0.1:9092"]

    def test_the_end_of_a_log_is_short_and_readable(self, tmp_path: Path) -> None:
        log = tmp_path / "worker.log"
        assert "(it is empty)" in end_of_log(log)
        log.write_bytes(b"\n".join(b"line %d " % n + b"x" * 2000 for n in range(100)) + b"\n\n\xff\n")
        told = end_of_log(log).splitlines()
        assert len(told) == 13
        assert told[-1] == "  \N{REPLACEMENT CHARACTER}"
        assert max(map(len, told)) <= 502


def test_a_rate_is_that_of_the_last_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("streams.demo.rate.time.monotonic", lambda: now[0])
    rate = Rate()
    assert rate.of(1_000_000) == 0.0
    for second in range(1, 20):
        now[0] = float(second)
        last = rate.of(1_000_000 + 10 * second)
    assert last == pytest.approx(10.0)
