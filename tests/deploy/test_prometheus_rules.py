"""Every alert of deploy/prometheus fires when it should and only then, judged by Prometheus's own promtool."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from streams.alerts.delivery.metrics import DeliveryMetrics
from streams.metrics import WorkerMetrics
from tests.debian_tools import debian_tool

PROMETHEUS = Path(__file__).parents[2] / "deploy" / "prometheus"
RUNBOOK = PROMETHEUS.parent / "runbook.md"
RULES = sorted((PROMETHEUS / "rules").glob("*.yml"))

WORKER = 'job="cascadecast",instance="worker-1:6066"'
DELIVERY = 'job="alert-delivery",instance="deliver:6067",target="oncall"'


@dataclass(frozen=True)
class Case:
    """Series by name and labels in promtool's notation, a value a minute; whether the alert fires at ``minute``."""

    alert: str
    fires: bool
    minute: int
    series: dict[str, str]


def counters(name: str, labels: str = "", per_minute: float = 0.0, start: float = 0.0) -> dict[str, str]:
    joined = f"{WORKER},{labels}" if labels else WORKER
    return {f"{name}{{{joined}}}": f"{start}+{per_minute}x120"}


def lag(seconds: str, records: str) -> dict[str, str]:
    return {
        f'cascadecast_input_lag_seconds{{{WORKER},partition="0"}}': seconds,
        f'cascadecast_input_lag_records{{{WORKER},partition="0"}}': records,
    }


def latency(within_ten_seconds: float) -> dict[str, str]:
    """Hundred forecasts a minute, so many of them within ten seconds and all within thirty."""
    name = "cascadecast_event_to_forecast_seconds_bucket"
    bounds = (("10.0", within_ten_seconds), ("30.0", 100.0), ("+Inf", 100.0))
    return {f'{name}{{{WORKER},le="{bound}"}}': f"0+{number}x120" for bound, number in bounds}


def partitions(owned: str) -> dict[str, str]:
    """Four partitions; partition 3 has a worker while ``owned`` has values."""
    found = {f"cascadecast_partitions{{{WORKER}}}": "4x120"}
    for number in range(3):
        found[f'cascadecast_next_offset{{{WORKER},partition="{number}"}}'] = "0+10x120"
    found['cascadecast_next_offset{job="cascadecast",instance="worker-2:6066",partition="3"}'] = owned
    return found


def heartbeats(success: str) -> dict[str, str]:
    """When the last one of a partition arrived; promtool's time begins at 0."""
    return {f'cascadecast_heartbeat_last_success_timestamp_seconds{{{WORKER},partition="0"}}': success}


CASES = [
    Case("CascadecastWorkerDown", True, 10, {f"up{{{WORKER}}}": "1 1 0x20"}),
    Case("CascadecastWorkerDown", False, 10, {f"up{{{WORKER}}}": "1x8 0 1x20"}),
    Case("CascadecastPartitionsWithoutWorker", True, 20, partitions("1x5 _x60")),
    Case("CascadecastPartitionsWithoutWorker", True, 20, {f"cascadecast_partitions{{{WORKER}}}": "4x60"}),
    Case("CascadecastPartitionsWithoutWorker", False, 20, partitions("1x60")),
    Case("CascadecastNotReady", True, 20, {f"cascadecast_ready{{{WORKER}}}": "0x60"}),
    Case("CascadecastNotReady", False, 20, {f"cascadecast_ready{{{WORKER}}}": "0x10 1x60"}),
    Case("CascadecastRestarting", True, 29, {f"process_start_time_seconds{{{WORKER}}}": "1x4 2x4 3x4 4x4 5x60"}),
    Case("CascadecastRestarting", False, 29, {f"process_start_time_seconds{{{WORKER}}}": "1x4 2x4 3x60"}),
    Case("CascadecastFallingBehind", True, 40, lag("90x120", "0+100x120")),
    Case("CascadecastFallingBehind", False, 40, lag("90x120", "100000-100x120")),  # large, but it shrinks
    Case("CascadecastFallingBehind", False, 40, lag("5x120", "0+100x120")),
    Case("CascadecastLagWillNotClear", True, 60, lag("1200x120", "1000x120")),
    Case("CascadecastLagWillNotClear", True, 60, lag("1200x120", "1000000-10x120")),  # it shrinks, for two months
    Case("CascadecastLagWillNotClear", False, 60, lag("1200x120", "1000000-10000x120")),
    Case("CascadecastHeartbeatMissing", True, 40, heartbeats("0+60x10 600x120") | lag("0x120", "0x120")),
    Case("CascadecastHeartbeatMissing", True, 40, heartbeats("0+60x10 600x120") | lag("90x120", "0+100x120")),
    Case("CascadecastHeartbeatMissing", False, 40, heartbeats("0+60x10 600x9 1200+60x120") | lag("0x120", "0x120")),
    Case(
        "CascadecastHeartbeatMissing", False, 40,  # what waits goes down: it will come
        heartbeats("0+60x10 600x120") | lag("900x120", "100000-100x120"),
    ),
    Case("CascadecastHeartbeatMissing", False, 40, lag("0x120", "0x120")),  # heartbeats are off
    Case(
        "CascadecastNoEvents", True, 100,
        {f'cascadecast_events_total{{{WORKER},fate="applied"}}': "0+600x50 30000x120"}
        | counters("cascadecast_events_total", 'fate="heartbeat"', 6),
    ),
    Case("CascadecastNoEvents", False, 100, counters("cascadecast_events_total", 'fate="applied"', 600)),
    Case("CascadecastNoEvents", False, 100, counters("cascadecast_events_total", 'fate="applied"', 0)),  # never any
    Case("CascadecastNoEvents", False, 100, counters("cascadecast_events_total", 'fate="heartbeat"', 60)),  # nor this
    Case(
        "CascadecastClockStandsStill", True, 60,
        counters("cascadecast_last_event_timestamp_seconds", 'partition="0"', 50, 1.7e9)
        | counters("cascadecast_watermark_timestamp_seconds", 'partition="0"', 0, 1.3e9),
    ),
    Case(
        "CascadecastClockStandsStill", False, 60,
        counters("cascadecast_last_event_timestamp_seconds", 'partition="0"', 50, 1.7e9)
        | counters("cascadecast_watermark_timestamp_seconds", 'partition="0"', 60, 1.3e9),
    ),
    Case(
        "CascadecastClockStandsStill", False, 60,  # nothing comes but heartbeats
        counters("cascadecast_last_event_timestamp_seconds", 'partition="0"', 0, 1.7e9)
        | counters("cascadecast_next_offset", 'partition="0"', 6)
        | counters("cascadecast_watermark_timestamp_seconds", 'partition="0"', 0, 1.3e9),
    ),
    Case(
        "CascadecastDeadLetters", True, 40,
        counters("cascadecast_events_total", 'fate="applied"', 1000)
        | counters("cascadecast_dead_letters_total", 'reason="invalid-json"', 20),
    ),
    Case(
        "CascadecastDeadLetters", False, 40,
        counters("cascadecast_events_total", 'fate="applied"', 1000)
        | counters("cascadecast_dead_letters_total", 'reason="invalid-json"', 5),
    ),
    Case("CascadecastForecastsSlow", True, 40, latency(90.0)),
    Case("CascadecastForecastsSlow", False, 40, latency(99.9)),
    Case(
        "CascadecastForecastsSuperseded", True, 60,
        counters("cascadecast_forecasts_due_total", "", 1000)
        | counters("cascadecast_forecasts_skipped_total", 'reason="superseded"', 700),
    ),
    Case(
        "CascadecastForecastsSuperseded", False, 60,
        counters("cascadecast_forecasts_due_total", "", 1000)
        | counters("cascadecast_forecasts_skipped_total", 'reason="superseded"', 300)
        | counters("cascadecast_forecasts_skipped_total", 'reason="too-small"', 600),
    ),
    Case(
        "CascadecastForecastsFail", True, 60,
        counters("cascadecast_forecasts_made_total", "", 1000)
        | counters("cascadecast_forecasts_failed_total", 'model="casft",role="champion"', 20),
    ),
    Case(
        "CascadecastForecastsFail", False, 60,
        counters("cascadecast_forecasts_made_total", "", 1000)
        | counters("cascadecast_forecasts_failed_total", 'model="casft",role="champion"', 2),
    ),
    Case(
        "CascadecastModelRefused", True, 30,
        {f'cascadecast_model_load_failures_total{{{WORKER},model="blend",role="champion"}}': "0x10 1x60"},
    ),
    Case(
        "CascadecastModelRefused", False, 90,
        {f'cascadecast_model_load_failures_total{{{WORKER},model="blend",role="champion"}}': "0x10 1x120"},
    ),
    Case(
        "CascadecastCascadesEvicted", True, 60,
        counters("cascadecast_cascades_departed_total", 'reason="evicted"', 10),
    ),
    Case(
        "CascadecastCascadesEvicted", False, 60,
        counters("cascadecast_cascades_departed_total", 'reason="matured"', 10)
        | counters("cascadecast_cascades_departed_total", 'reason="evicted"', 0, 500),
    ),
    Case("CascadecastStandbyBehind", True, 60, counters("cascadecast_standby_records_remaining", "", 10, 20_000)),
    Case(
        "CascadecastStandbyBehind", False, 60,
        {f"cascadecast_standby_records_remaining{{{WORKER}}}": "900000-5000x120"},
    ),
    Case("CascadecastDeliveryFailing", True, 30, {f"cascadecast_delivery_failing{{{DELIVERY}}}": "0x5 1x60"}),
    Case("CascadecastDeliveryFailing", False, 30, {f"cascadecast_delivery_failing{{{DELIVERY}}}": "1x8 0x60"}),
    Case("CascadecastDeliveryBehind", True, 60, {f"cascadecast_delivery_lag_records{{{DELIVERY}}}": "0+5x120"}),
    Case("CascadecastDeliveryBehind", False, 60, {f"cascadecast_delivery_lag_records{{{DELIVERY}}}": "900-5x120"}),
    Case(
        "CascadecastDeliveryGivenUp", True, 30,
        {f'cascadecast_delivery_records_total{{{DELIVERY},fate="dead-lettered"}}': "0x10 1x60"},
    ),
    Case(
        "CascadecastDeliveryGivenUp", False, 30,
        {f'cascadecast_delivery_records_total{{{DELIVERY},fate="delivered"}}': "0+1x60"}
        | {f'cascadecast_delivery_records_total{{{DELIVERY},fate="dead-lettered"}}': "3x60"},
    ),
]  # fmt: skip


def rules() -> list[dict[str, Any]]:
    return [rule for path in RULES for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


ALERTS = [rule for rule in rules() if "alert" in rule]
ELSEWHERE = re.findall(r"alert: (\w+)", (PROMETHEUS / "rules" / "accuracy.yml").read_text())
"""Tested by promtool's own files: their series need whole histories."""


@pytest.fixture(scope="module")
def promtool() -> Path:
    return debian_tool("promtool")


def test_the_rules_are_rules(promtool: Path) -> None:
    checked = subprocess.run([promtool, "check", "rules", *RULES], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_configuration_is_one(promtool: Path) -> None:
    config = PROMETHEUS / "prometheus.yml"
    checked = subprocess.run([promtool, "check", "config", config], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.alert}-{case.fires}-{case.minute}")
def test_an_alert_fires_when_it_should(case: Case, promtool: Path, tmp_path: Path) -> None:
    expected = [{"labels": "{}", "value": 1}] if case.fires else []
    expression = f'count(ALERTS{{alertname="{case.alert}",alertstate="firing"}})'
    tests = {
        "rule_files": [str(path) for path in RULES],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
                "promql_expr_test": [{"expr": expression, "eval_time": f"{case.minute}m", "exp_samples": expected}],
            }
        ],
    }
    path = tmp_path / "test.yml"
    path.write_text(json.dumps(tests))  # JSON is YAML
    checked = subprocess.run([promtool, "test", "rules", path], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_alert_is_tested_both_ways() -> None:
    tested = {(case.alert, case.fires) for case in CASES}
    here = [rule for rule in ALERTS if rule["alert"] not in ELSEWHERE]
    assert tested == {(rule["alert"], fires) for rule in here for fires in (True, False)}


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_says_how_urgent_it_is_what_it_means_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("info", "warning", "critical")
    notes = rule["annotations"]
    assert "{{" not in notes["summary"], "a summary is the same for all, so that alerts can be grouped by it"
    assert "$labels" in notes["description"]
    anchor = rule["alert"].lower()
    assert notes["runbook_url"].endswith(f"#{anchor}")
    assert re.search(rf"^### {rule['alert']}$", RUNBOOK.read_text(), re.MULTILINE), "the runbook has a section for it"


def test_recording_rules_are_named_level_metric_operation() -> None:
    for rule in rules():
        if "record" in rule:
            assert re.fullmatch(r"[a-z_]+:cascadecast_[a-z_]+:[a-z0-9_]+", rule["record"]), rule["record"]


def test_the_metrics_are_as_prometheus_wants_them(promtool: Path) -> None:
    for metrics in (WorkerMetrics(), DeliveryMetrics()):
        checked = subprocess.run(
            [promtool, "check", "metrics"], input=metrics.render(), capture_output=True, check=False
        )
        assert (checked.returncode, checked.stderr.decode()) == (0, "")
