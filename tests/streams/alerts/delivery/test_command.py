"""``cascadecast alerts deliver``: its test of the targets, and what it says of options that cannot be meant."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from streams.cli.main import build_app
from streams.settings import CONFIG_VARIABLE


@pytest.fixture
def service() -> Iterator[tuple[str, list[Any]]]:
    """Its address, and what was posted to it."""
    posted: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", posted
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def no_config(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CONFIG_VARIABLE, "")


def run(tmp_path: Path, targets: str, *options: str) -> Result:
    file = tmp_path / "targets.toml"
    file.write_text(targets)
    return CliRunner().invoke(build_app(), ["alerts", "deliver", "--targets", str(file), *options])


TARGETS = """
[targets.oncall]
type = "alertmanager"
urls = ["{url}", "{other}"]

[targets.newsroom]
type = "slack"
url_env = "NEWSROOM_URL"
severities = ["critical"]
"""


def test_each_target_is_sent_one_marked_alert_and_it_is_said_what_came_of_it(
    tmp_path: Path, service: tuple[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, posted = service
    monkeypatch.setenv("NEWSROOM_URL", f"{url}/services/secret-part")
    result = run(tmp_path, TARGETS.format(url=url, other=url + "/second"), "--test")
    assert result.exit_code == 0
    assert [line.split(": ")[0] for line in result.stdout.splitlines()] == [
        f"oncall {url} (alertmanager)", f"oncall {url}/second (alertmanager)", "newsroom (slack)",
    ]  # fmt: skip
    assert len(posted) == 3
    assert all("This is a test" in json.dumps(one) for one in posted)
    assert "secret-part" not in result.output


def test_one_target_that_fails_makes_the_exit_code_1(
    tmp_path: Path, service: tuple[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, _ = service
    monkeypatch.setenv("NEWSROOM_URL", "http://127.0.0.1:1/services/secret-part")
    result = run(tmp_path, TARGETS.format(url=url, other=url), "--test")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1].startswith("newsroom (slack): failed: Cannot connect to host 127.0.0.1:1")
    assert "secret-part" not in result.output


def test_sending_and_not_sending_cannot_be_meant_at_once(tmp_path: Path) -> None:
    result = run(tmp_path, TARGETS, "--test", "--dry-run")
    assert "give one of them" in str(result.exception)
