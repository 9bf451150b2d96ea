"""Every expression of every panel and rule, asked of a real Prometheus that scraped a worker at work."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from graph import write_events
from graph.ordering import ordered
from graph.simulation import Simulation
from graph.simulator import simulated_events
from streams.broker import EmbeddedBroker
from streams.replay.publishing import ReplayPlan, replay
from tests.debian_tools import data_directory, debian_tool
from tests.deploy.dashboards import asked, dashboards, panels
from tests.integration.harness import Stream, Worker, free_port, settle

RULES = sorted((Path(__file__).parents[2] / "deploy" / "prometheus" / "rules").glob("*.yml"))

SETTINGS = {
    "MODELS": "blend",
    "HORIZON_SECONDS": "7200",
    "RETENTION_GRACE_SECONDS": "60",
    "SCORE_AGES_SECONDS": "300,900",
    "HEARTBEAT_SECONDS": "10",
}
"""Posts that mature within the stream, so that there are scores."""

ALERT_RULES = """
cap_per_hour = 8
[[rule]]
name = "grows"
expected = 5
"""
"""So low that alerts are opened, so few allowed that others are withheld."""


class Prometheus:
    """A server of our own that scrapes one worker every second."""

    def __init__(self, folder: Path, worker_port: int) -> None:
        self._port = free_port()
        rules = folder / "rules"
        rules.mkdir(parents=True)
        for path in RULES:
            groups = yaml.safe_load(path.read_text())
            for group in groups["groups"]:
                group["interval"] = "1s"
            (rules / path.name).write_text(yaml.safe_dump(groups))
        target = {"job_name": "cascadecast", "static_configs": [{"targets": [f"127.0.0.1:{worker_port}"]}]}
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [f"{rules}/*.yml"],
            "scrape_configs": [target],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        program = debian_tool("prometheus")
        web = data_directory(program, "prometheus")
        self._log = (folder / "prometheus.log").open("wb")
        self._process = subprocess.Popen(
            [
                program, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{self._port}", "--log.level=warn",
            ],
            cwd=web if web.is_dir() else folder, stdout=self._log, stderr=self._log,
        )  # fmt: skip

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """The answer to an instant query."""
        query = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/api/v1/query?{query}", timeout=10) as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return found

    def wait_for(self, expression: str, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while True:
            try:
                if self.ask(expression):
                    return
            except OSError:
                pass  # not listening yet
            assert time.monotonic() < deadline, f"{expression} stays empty"
            time.sleep(0.5)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)
        self._log.close()


@pytest.fixture(scope="module")
def prometheus(kafka: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """After a worker has forecast, scored and learned under its eyes."""
    folder = tmp_path_factory.mktemp("dashboards")
    events = folder / "events.jsonl.zst"
    write_events(events, ordered(simulated_events(Simulation(seed=7, hours=6.0, mean_size=20.0), 60)))
    rules = folder / "rules.toml"
    rules.write_text(ALERT_RULES)
    stream = Stream(kafka.bootstrap_servers, "dashboards", {**SETTINGS, "ALERT_RULES": str(rules)}).create()
    with Worker(stream, folder) as worker:
        worker.wait_ready()
        server = Prometheus(folder / "prometheus", worker.port)
        try:
            server.wait_for("up == 1")
            replay(ReplayPlan(str(events), stream.bootstrap_servers, stream.prefix, drain_seconds=14_400))
            settle(stream, [worker], 120)
            server.wait_for("job:cascadecast_input_lag_records:deriv10m")
            server.wait_for("cascadecast_score_msle")
            time.sleep(2.5)  # two more scrapes, for rates
            yield server
        finally:
            server.stop()


def test_every_panel_has_data(prometheus: Prometheus) -> None:
    empty = [
        f"{name}: {panel['title']}: {target['expr']}"
        for name, dashboard in dashboards().items()
        for panel in panels(dashboard)
        for target in panel["targets"]
        if not prometheus.ask(asked(target["expr"]))
    ]
    assert empty == []


def test_every_recording_rule_has_data_and_every_alert_can_be_asked(prometheus: Prometheus) -> None:
    for path in RULES:
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                if "record" in rule:
                    assert prometheus.ask(rule["record"]), rule["record"]
                else:
                    prometheus.ask(rule["expr"])


def test_a_worker_that_is_well_raises_no_alert(prometheus: Prometheus) -> None:
    assert [one["metric"]["alertname"] for one in prometheus.ask('ALERTS{alertstate="firing"}')] == []
