"""Several workers on one machine: what differs between them, and what is done when one ends."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.settings import Settings
from streams.supervision.processes import MAX_RESTARTS, ProcessPlan, Supervisor, arguments_for_each, plans

SERVES = (
    "import signal, time; signal.signal(signal.SIGTERM, lambda *_: exit(0)); open({0!r} + '.up', 'w'); time.sleep(60)"
)


@pytest.fixture(autouse=True)
def own_signal_handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def supervisor(directory: Path, *programs: str) -> Supervisor:
    """Of processes that run a program each."""
    names = [ProcessPlan(number, {"PROGRAM": program}) for number, program in enumerate(programs)]
    run = [sys.executable, "-I", "-c", "import os; exec(os.environ['PROGRAM'])"]
    return Supervisor(names, run, pause_seconds=0.0)


def starts(path: Path, code: str) -> str:
    """A program that notes its start and ends in a certain way."""
    return f"import os, signal; open({str(path)!r}, 'a').write('x'); {code}"


def test_processes_share_no_directory_port_or_name(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, http_port=7000, instance_id="a")
    found = [plan.environment for plan in plans(settings, 3)]
    for variable in ("CASCADECAST_DATA_DIR", "CASCADECAST_HTTP_PORT", "CASCADECAST_INSTANCE_ID"):
        assert len({environment[variable] for environment in found}) == 3
    assert [environment["CASCADECAST_HTTP_PORT"] for environment in found] == ["7000", "7001", "7002"]
    assert "CASCADECAST_INSTANCE_ID" not in plans(Settings(), 2)[1].environment
    assert plans(Settings(http_port=0), 2)[1].environment["CASCADECAST_HTTP_PORT"] == "0"


def test_each_process_gets_the_command_without_what_differs() -> None:
    given = ["worker", "--processes", "4", "--models", "blend", "--data-dir=x", "--http-port", "7000", "--no-shed"]
    assert arguments_for_each(given) == ["worker", "--models", "blend", "--no-shed"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_stop_is_passed_on_and_all_drain(tmp_path: Path, number: signal.Signals) -> None:
    names = [str(tmp_path / name) for name in "ab"]

    def send() -> None:
        while not all(Path(f"{name}.up").exists() for name in names):
            time.sleep(0.05)
        os.kill(os.getpid(), number)

    threading.Thread(target=send, daemon=True).start()
    assert supervisor(tmp_path, *(SERVES.format(name) for name in names)).run() == 0


def test_a_process_that_cannot_run_ends_all_with_its_code(tmp_path: Path) -> None:
    assert supervisor(tmp_path, SERVES.format(str(tmp_path / "a")), "exit(2)").run() == 2


@pytest.mark.parametrize(
    ("end", "code"), [("os._exit(70)", 70), ("os._exit(71)", 71), ("os.kill(os.getpid(), signal.SIGKILL)", 137)]
)
def test_a_fault_is_restarted_until_it_comes_too_often(tmp_path: Path, end: str, code: int) -> None:
    noted = tmp_path / "starts"
    assert supervisor(tmp_path, starts(noted, end), SERVES.format(str(tmp_path / "b"))).run() == code
    assert len(noted.read_text()) == 1 + MAX_RESTARTS


def test_a_process_that_recovers_goes_on(tmp_path: Path) -> None:
    noted = tmp_path / "starts"
    assert (
        supervisor(tmp_path, starts(noted, f"os._exit(70 if len(open({str(noted)!r}).read()) < 3 else 0)")).run() == 0
    )
    assert len(noted.read_text()) == 3
