"""The alerting rules on accuracy: right by promtool, fed by metrics there are, each with a procedure."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from streams.metrics import WorkerMetrics
from streams.score_board import FAMILIES

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "rules" / "accuracy.yml"
RUNBOOK = ROOT / "deploy" / "runbook.md"
CASES = Path(__file__).parent / "accuracy_rules.yml"


@pytest.fixture(scope="module")
def promtool() -> str:
    found = shutil.which("promtool")
    if found is not None:
        return found
    try:
        tools = importlib.import_module("tests.debian_tools")
    except ModuleNotFoundError:
        pytest.skip("promtool is not installed: apt install prometheus")
    return str(tools.debian_tool("promtool"))


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


def test_every_alert_has_a_severity_a_test_and_a_procedure_that_names_it() -> None:
    rules, runbook = RULES.read_text(encoding="utf-8"), RUNBOOK.read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", runbook, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-"): heading for heading in headings}
    parts = rules.split("- alert: ")[1:]
    assert parts
    for part in parts:
        name = part.split()[0]
        assert re.search(r"severity: (info|warning|critical)\n", part), name
        assert all(f"{key}:" in part for key in ("summary", "description")), name
        (anchor,) = re.findall(r"runbook: deploy/runbook\.md#(\S+)", part)
        assert name in runbook.split(f"## {anchors[anchor]}\n")[1].split("\n## ")[0]
        assert f"alertname: {name}" in CASES.read_text(encoding="utf-8")
