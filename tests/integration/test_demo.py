"""``cascadecast demo`` as its user meets it: a real Kafka, a real worker, a terminal or a pipe; and nothing left."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import secrets
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

COMMAND = [sys.executable, "-m", "streams.cli", "demo", "--models", "hawkes,seismic"]

MARK = "DEMO_OF_THIS_TEST"
"""In the environment of the demo and so of everything it starts, however far it detaches itself."""

FIRST_FORECAST_SECONDS = 60.0
"""What the demo promises, on two cores."""


class RunningDemo:
    """A demo under test, in a terminal of its own or in a pipe."""

    def __init__(self, scratch: Path, *arguments: str, terminal: tuple[int, int] | None = None) -> None:
        self._mark = secrets.token_hex(8)
        self.scratch = scratch
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CASCADECAST_")}
        environment = {**inherited, MARK: self._mark, "TMPDIR": str(scratch), "TERM": "xterm-256color"}
        environment = {name: value for name, value in environment.items() if name not in ("COLUMNS", "LINES")}
        if terminal is None:
            self.process = subprocess.Popen(
                [*COMMAND, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
            )
            assert self.process.stdout is not None
            assert self.process.stderr is not None
            self._keyboard = -1
            out, err = self.process.stdout.fileno(), self.process.stderr.fileno()
        else:
            self._keyboard, inside = os.openpty()
            rows, columns = terminal
            fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            self.process = subprocess.Popen(
                [*COMMAND, *arguments],
                env=environment,
                preexec_fn=lambda: os.login_tty(inside),
                pass_fds=(inside,),
            )
            os.close(inside)
            out, err = self._keyboard, -1
        self._parts: dict[int, bytearray] = {}
        self._readers = [
            threading.Thread(target=self._read, args=(source,), daemon=True) for source in (out, err) if source >= 0
        ]
        for reader in self._readers:
            reader.start()
        self._out, self._err = out, err

    def _read(self, source: int) -> None:
        kept = self._parts.setdefault(source, bytearray())
        with contextlib.suppress(OSError):  # a terminal whose last user is gone
            while chunk := os.read(source, 65_536):
                kept.extend(chunk)

    @property
    def output(self) -> str:
        """Standard output so far; in a terminal, all there is."""
        return bytes(self._parts.get(self._out, b"")).decode()

    @property
    def errors(self) -> str:
        """Standard error so far."""
        return bytes(self._parts.get(self._err, b"")).decode()

    def wait_for(self, pattern: str, seconds: float) -> re.Match[str]:
        """Until the output holds the pattern."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if (found := re.search(pattern, self.output + self.errors)) is not None:
                return found
            assert self.process.poll() is None, self.output + self.errors
            time.sleep(0.1)
        raise AssertionError(f"no {pattern!r} within {seconds} s in:\n{self.output}{self.errors}")

    def press(self, keys: bytes) -> None:
        """On the keyboard of its terminal."""
        os.write(self._keyboard, keys)

    def end(self, seconds: float) -> int:
        """Wait for its end and for all it said; the exit code as a shell gives it."""
        code = self.process.wait(seconds)
        for reader in self._readers:
            reader.join(5)
        return code if code >= 0 else 128 - code

    def processes(self) -> dict[int, str]:
        """Everything that runs because of this demo, itself included."""
        found: dict[int, str] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    if f"{MARK}={self._mark}".encode() in (entry / "environ").read_bytes():
                        found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:200]
        return found

    def workers(self) -> list[int]:
        """The worker processes themselves."""
        return [pid for pid, command in self.processes().items() if re.search(r"streams\.cli worker ", command[:150])]

    def kill_all(self) -> None:
        """For a test that failed."""
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self._keyboard >= 0:
            os.close(self._keyboard)

    def assert_nothing_left(self, *, patience_seconds: float = 0.0) -> None:
        """No process, no port, no file."""
        deadline = time.monotonic() + patience_seconds
        while (self.processes() or list(self.scratch.iterdir())) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert self.processes() == {}
        assert list(self.scratch.iterdir()) == []
        ports = {int(port) for port in re.findall(r"127\.0\.0\.1:(\d{4,5})", self.output + self.errors)}
        assert len(ports) >= 2
        for port in ports:
            with socket.socket() as probe:
                assert probe.connect_ex(("127.0.0.1", port)) != 0, f"port {port} still answers"


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[RunningDemo]]:
    """Demos to be cleaned away whatever the test finds."""
    demos: list[RunningDemo] = []
    yield demos
    for demo in demos:
        demo.kill_all()


def start(
    started: list[RunningDemo], tmp_path: Path, *arguments: str, terminal: tuple[int, int] | None = None
) -> RunningDemo:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    demo = RunningDemo(scratch, *arguments, terminal=terminal)
    started.append(demo)
    return demo


def assert_no_complaint(text: str) -> None:
    assert not re.search(r"(?i)traceback|\berror|warning|exception|%[34]\|", text), text


def test_in_a_pipe_it_prints_lines_and_ends_by_itself(started: list[RunningDemo], tmp_path: Path) -> None:
    demo = start(started, tmp_path, "--seconds", "25", "--seed", "3")
    assert demo.end(120) == 0
    assert demo.errors == ""
    assert_no_complaint(demo.output)
    assert "\x1b" not in demo.output
    first = re.search(r"first forecast ([\d.]+) s after Kafka was up", demo.output)
    assert first is not None
    assert float(first[1]) < FIRST_FORECAST_SECONDS
    assert re.search(r"sim3-\d+ +\S+ +[\d,]+ +\S+ +\S+ +\S+ – \S+ +[▁-█]+┊[▁-█]+", demo.output)
    assert re.search(r"[\d,]+ events published, [\d,]+ forecasts received", demo.output)
    demo.assert_nothing_left()


def test_json_is_one_object_and_nothing_else(started: list[RunningDemo], tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    lines = [{"id": "p", "cascade": "p", "kind": "post", "time": 0.0, "followers": 1000}]
    lines += [
        {"id": f"p{n}", "cascade": "p", "kind": "repost", "time": 40.0 * n, "parent": "p", "followers": 100}
        for n in range(1, 60)
    ]
    events.write_text("\n".join(map(json.dumps, lines)) + "\n")
    demo = start(
        started, tmp_path, "--json", "--seconds", "20", "--speed", "max", "--events", str(events), "--workers", "2"
    )
    assert demo.end(120) == 0
    assert demo.errors == ""
    (row,) = json.loads(demo.output)["results"]
    assert row["events_published"] == 60
    assert row["stream_ended"] is True
    assert row["dead_letters"] == 0
    assert row["posts"] == 1
    # One forecast a model for each minute in which the post gained something, none lost at the stream's end.
    assert row["forecasts_by_model"]["hawkes"] == row["forecasts_by_model"]["seismic"]
    assert row["forecasts_by_model"]["hawkes"] == pytest.approx(60 * 40 / 60, abs=2)
    assert demo.processes() == {}
    assert list(demo.scratch.iterdir()) == []


def test_in_a_terminal_ctrl_c_leaves_everything_as_it_was(started: list[RunningDemo], tmp_path: Path) -> None:
    demo = start(started, tmp_path, terminal=(30, 100))
    demo.wait_for(r"\x1b\[\?1049h", 90)  # the live view has the screen
    demo.wait_for(r"sim0-\d+", 10)
    demo.press(b"\x03")
    time.sleep(0.3)
    demo.press(b"\x03")  # impatience must not break off the cleaning up
    assert demo.end(60) == 0
    assert demo.output.rindex("\x1b[?1049l") > demo.output.rindex("\x1b[?1049h")
    assert demo.output.rindex("\x1b[?25h") > demo.output.rindex("\x1b[?25l")
    told = demo.output[demo.output.rindex("\x1b[?1049l") :]
    assert "forecasts received" in told
    assert_no_complaint(demo.output)
    demo.assert_nothing_left()


def test_sigterm_ends_it_as_cleanly_while_it_is_still_starting(started: list[RunningDemo], tmp_path: Path) -> None:
    demo = start(started, tmp_path)
    demo.wait_for("started a worker", 90)
    demo.process.send_signal(signal.SIGTERM)
    assert demo.end(60) == 128 + signal.SIGTERM
    assert_no_complaint(demo.output + demo.errors)
    demo.assert_nothing_left()


def test_a_worker_that_dies_is_told(started: list[RunningDemo], tmp_path: Path) -> None:
    demo = start(started, tmp_path)
    demo.wait_for("first forecast", 90)
    (worker,) = demo.workers()
    os.kill(worker, signal.SIGKILL)
    assert demo.end(60) == 1
    assert demo.errors.startswith("cascadecast: worker 1 ended with status 137; the end of its log:\n")
    demo.assert_nothing_left()


def test_nothing_survives_the_demos_own_sudden_death(started: list[RunningDemo], tmp_path: Path) -> None:
    demo = start(started, tmp_path)
    demo.wait_for("first forecast", 90)
    demo.process.kill()
    demo.end(10)
    demo.assert_nothing_left(patience_seconds=45)


def test_a_cluster_of_ones_own_is_left_as_it_was_found(started: list[RunningDemo], tmp_path: Path) -> None:
    from confluent_kafka.admin import AdminClient

    from streams.broker import EmbeddedBroker

    with EmbeddedBroker(tmp_path / "kafka") as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
        demo = start(started, tmp_path, "--bootstrap-servers", broker.bootstrap_servers)
        demo.wait_for("first forecast", 90)
        topics = {name for name in admin.list_topics(timeout=10).topics if not name.startswith("__")}
        assert topics
        assert all(name.startswith("cascadecast-demo-") for name in topics)
        demo.process.send_signal(signal.SIGINT)
        assert demo.end(60) == 0
        assert_no_complaint(demo.output + demo.errors)
        assert demo.processes() == {}
        left = {name for name in admin.list_topics(timeout=10).topics if not name.startswith("__")}
        assert left == set()
