"""A worker, a run over a file and a trial tell the same alerts; a worker follows its file of rules."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

import streams
from graph import write_events
from streams.alerts.records import AlertRecord, alert_schema
from streams.alerts.rule_file import parse_rules
from streams.alerts.rule_watch import RuleWatch
from streams.alerts.rules import RuleBook, RuleSet
from streams.cli import main
from streams.engine.forecast_file import RunCounts, forecast_events
from streams.metrics import WorkerMetrics
from streams.worker.outputs import SupersededError
from tests.streams.alerts.alert_engine import EVERYTHING
from tests.streams.alerts.test_alert_engine import hostile_stream
from tests.streams.learning_engine import learning_settings, long_stream, service
from tests.streams.worker_rig import Rig, value


class AlertRig(Rig):
    """A rig whose worker has rules."""

    def __init__(self, config: Any, rules: RuleSet) -> None:
        super().__init__(config, service(config))
        self.rules.current = rules
        self.metrics.show_rules(rules)

    def alerts(self) -> list[dict[str, Any]]:
        return [json.loads(value) for _, value, _ in self.outbox.sent.get("alerts", [])]


def from_file(events: Any, config: Any, rules: RuleSet) -> dict[str, Any]:
    alerts: list[AlertRecord] = []
    counts = RunCounts()
    list(forecast_events(events, config, service(config), counts, rules=rules, on_alert=alerts.append))
    assert counts.alerts.total() == len(alerts)
    return {alert.id: json.loads(msgspec.json.encode(alert)) for alert in alerts}


@pytest.mark.parametrize("partitions", [1, 3])
async def test_a_worker_and_a_file_run_tell_the_same_alerts(partitions: int) -> None:
    events = hostile_stream(31, 0, cascades=40)
    config = learning_settings(partitions=partitions, max_backlog=20)
    rig = AlertRig(config, EVERYTHING)
    await rig.core.own(set(range(partitions)))
    await rig.play(events, partitions)
    expected = from_file(events, config, EVERYTHING)
    assert len(expected) > 50
    published = rig.alerts()
    assert {alert["id"]: alert for alert in published} == expected
    assert len(published) == len(expected)
    assert {key for key, _, _ in rig.outbox.sent["alerts"]} == {alert["cascade"].encode() for alert in published}
    assert rig.total("cascadecast_alerts_total") == len(published)
    await rig.core.tick()
    opened, resolved = (sum(one["state"] == state for one in published) for state in ("opened", "resolved"))
    assert rig.total("cascadecast_alerts_open") == opened - resolved
    assert rig.total("cascadecast_alerts_withheld_total") > 0


async def test_the_next_owner_tells_what_the_first_could_not() -> None:
    events = hostile_stream(32, 0, cascades=40)
    config = learning_settings(partitions=2)
    expected = from_file(events, config, EVERYTHING)
    first = AlertRig(config, EVERYTHING)
    await first.core.own({0, 1})
    first.outbox.patience = 60
    with pytest.raises((ConnectionError, SupersededError)):
        await first.play(events, 2)
    second = AlertRig(config, EVERYTHING)
    second.stores = first.stores
    await second.core.own({0, 1})
    await second.play(events, 2)  # nothing was committed
    told = {alert["id"]: alert for alert in first.alerts() + second.alerts()}
    assert told == expected


async def test_an_open_alert_ends_when_its_rule_is_taken_from_a_worker_at_rest() -> None:
    import asyncio

    events = [event for event in long_stream(33, 30) if event.time < 1_400_000_000 + 7200]
    config = learning_settings()
    rig = AlertRig(config, EVERYTHING)
    await rig.core.own({0})
    forecasting = asyncio.create_task(rig.core.run_forecasts())
    from streams.engine.raw_record import Record

    records = [Record(msgspec.json.encode(e), e.cascade.encode(), None, n, 0.0) for n, e in enumerate(events)]
    await rig.core.ingest({0: records}, "social.events")
    while rig.core.is_forecasting():
        await asyncio.sleep(0.01)
    open_now = rig.core.assigned[0].partition.alerts.open_now()
    assert open_now
    before = len(rig.alerts())
    rig.rules.current = RuleSet()
    rig.core.rules_changed()
    await asyncio.sleep(0.05)
    await rig.core.drain()
    await forecasting
    ends = rig.alerts()[before:]
    assert {alert["reason"] for alert in ends} == {"rule removed"}
    assert len(ends) == open_now.total()


RULES = '[[rule]]\nname = "{name}"\nexpected = 5\n'


def test_a_changed_file_is_in_force_and_a_bad_one_is_refused(tmp_path: Path) -> None:
    path, book, metrics = tmp_path / "rules.toml", RuleBook(), WorkerMetrics()
    path.write_text(RULES.format(name="one"))
    watch = RuleWatch(path, book, metrics)
    assert book.current.names == {"one"}
    assert not watch.look()
    path.write_text(RULES.format(name="two"))
    assert watch.look()
    assert book.current.names == {"two"}
    for content in ("nonsense", None):
        path.write_text(content) if content else path.unlink()
        assert not watch.look()
        assert not watch.look()
    assert book.current.names == {"two"}
    assert value(metrics.registry, "cascadecast_alert_rules_reload_failures_total") == 2, "each once"
    assert value(metrics.registry, "cascadecast_alert_rules_info", digest=book.current.digest) == 1
    path.write_text("# why\n" + RULES.format(name="two"))
    assert not watch.look(), "the same rules"


def test_a_worker_begins_with_rules_that_can_be_meant_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rules.toml"
    path.write_text("[[rule]]\n")
    monkeypatch.setattr("sys.argv", ["cascadecast", "worker", "--alert-rules", str(path), "--http-port", "0"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert f"{path}:1: rule 1: it has no name" in capsys.readouterr().err


def test_the_published_schema_of_alerts_is_current() -> None:
    published = Path(streams.__path__[0]) / "schemas" / "social.alerts.json"
    assert json.loads(published.read_text()) == json.loads(json.dumps(alert_schema()))


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str, group: str = "alerts") -> None:
    for name in [name for name in os.environ if name.startswith("CASCADECAST_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr("sys.argv", ["cascadecast", group, *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code in (0, None)


LOOSE = """
cap_per_hour = 40
[[rule]]
name = "large"
expected = 30
[[rule]]
name = "fast"
observed_per_hour = 10
cool_down = "30m"
"""


def test_a_trial_tells_what_a_worker_would_whatever_the_number_of_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    events, rules = tmp_path / "events.jsonl", tmp_path / "rules.toml"
    write_events(events, long_stream(34, cascades=40))
    rules.write_text(LOOSE)
    options = ["--in-order", "--models", "hawkes", "--horizon", "2h", "--partitions", "3", "--json"]
    results, written = [], []
    for jobs in ("1", "2"):
        records = tmp_path / f"records-{jobs}.jsonl"
        run(monkeypatch, "test", str(rules), str(events), *options, "--jobs", jobs, "--records", str(records))
        results.append(json.loads(capsys.readouterr().out)["results"][0])
        written.append(records.read_text())
    assert results[0] == results[1]
    assert written[0] == written[1]
    from streams.engine.inference import load_service
    from streams.settings import Settings

    config = Settings(models=("hawkes",), horizon_seconds=7200.0, partitions=3)
    alerts: list[AlertRecord] = []
    told = forecast_events(
        long_stream(34, cascades=40),
        config,
        load_service(config),
        rules=parse_rules(LOOSE, "x"),
        on_alert=alerts.append,
    )
    assert len(list(told)) == results[0]["forecasts"]
    assert {json.loads(line)["id"] for line in written[0].splitlines()} == {alert.id for alert in alerts}
    forecast = ["--in-order", "--models", "hawkes", "--horizon", "2h", "--partitions", "3", "--alert-rules", str(rules)]
    output = ["--output", str(tmp_path / "forecasts.jsonl"), "--alerts", str(tmp_path / "alerts.jsonl")]
    run(monkeypatch, str(events), *forecast, *output, group="forecast")
    lines = (tmp_path / "alerts.jsonl").read_text().splitlines()
    assert sorted(lines) == sorted(written[0].splitlines())
    result = results[0]
    assert result["alerts"] == len(result["opened"]) == sum(row["alerts"] for row in result["rules"]) > 10
    for alert in result["opened"]:
        if alert["lead_seconds"] is not None:
            assert alert["lead_seconds"] == pytest.approx(alert["half_age_seconds"] - alert["age_seconds"])
            assert alert["final"] >= 1


def test_a_trial_is_shown_as_tables_and_rules_as_sentences(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    events, rules = tmp_path / "events.jsonl", tmp_path / "rules.toml"
    write_events(events, long_stream(35, cascades=15))
    rules.write_text(LOOSE)
    run(monkeypatch, "test", str(rules), str(events), "--in-order", "--models", "hawkes", "--jobs", "1")
    shown = capsys.readouterr().out
    assert "large" in shown
    assert "peak an hour" in shown
    run(monkeypatch, "check", str(rules))
    assert capsys.readouterr().out.startswith("large (warning): opens when expected size at least 30; resolved")
