"""The alerting rules on accuracy: right by promtool, fed by metrics there are."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from streams.metrics import WorkerMetrics
from streams.scoring.board import FAMILIES
from tests.debian_tools import debian_tool

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "rules" / "accuracy.yml"
CASES = Path(__file__).parent / "accuracy_rules.yml"


@pytest.fixture(scope="module")
def promtool() -> str:
    return str(debian_tool("promtool"))


@pytest.mark.parametrize("arguments", [("check", "rules", str(RULES)), ("test", "rules", str(CASES))])
def test_promtool_agrees(promtool: str, arguments: tuple[str, ...]) -> None:
    done = subprocess.run([promtool, *arguments], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_metric_of_the_rules_and_their_tests_is_one_that_workers_show() -> None:
    shown = {
        f"{metric._name}_total" if metric._type == "counter" else metric._name
        for metric in vars(WorkerMetrics()).values()
        if hasattr(metric, "_labelnames")
    } | set(FAMILIES)
    for path in (RULES, CASES):
        assert set(re.findall(r"\bcascadecast_\w+", path.read_text(encoding="utf-8"))) <= shown


def test_every_alert_is_tested_where_it_fires_and_where_it_does_not() -> None:
    cases = [case for test in yaml.safe_load(CASES.read_text())["tests"] for case in test["alert_rule_test"]]
    tested = {(case["alertname"], bool(case.get("exp_alerts"))) for case in cases}
    alerts = [rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    assert tested == {(alert, fires) for alert in alerts for fires in (True, False)}
