"""What people are shown of a post's alerts."""

from __future__ import annotations

from streams.alerts.records import AlertRecord, AlertState, Severity, alert_id, alert_key
from streams.web.alert_history import AlertHistory


def record(cascade: str, rule: str, state: AlertState, as_of: float, opened: float) -> AlertRecord:
    alert = alert_key(rule, cascade, opened)
    return AlertRecord(
        id=alert_id(alert, state, as_of), cascade=cascade, rule=rule, state=state, as_of=as_of, age_seconds=as_of,
        observed=1, expected=2.0, low=1.0, high=3.0, reason="", alert=alert, opened_as_of=opened,
        severity=Severity.INFO, horizon_seconds=86_400.0, model="blend", model_version="1", source=None, lang=None,
        followers=None, labels={},
    )  # fmt: skip


def test_a_rule_is_open_until_its_alert_is_resolved() -> None:
    history = AlertHistory()
    history.add(record("a", "large", AlertState.OPENED, 1.0, 1.0))
    history.add(record("a", "fast", AlertState.OPENED, 2.0, 2.0))
    assert history.open_rules("a") == ["fast", "large"]
    history.add(record("a", "large", AlertState.RESOLVED, 3.0, 1.0))
    assert history.open_rules("a") == ["fast"]
    assert [one.state.value for one in history.of("a")] == ["opened", "opened", "resolved"]


def test_what_is_published_again_after_a_crash_is_told_once() -> None:
    history = AlertHistory()
    for _ in range(2):
        history.add(record("a", "large", AlertState.OPENED, 1.0, 1.0))
    assert len(history.of("a")) == 1


def test_it_is_bounded_and_those_of_whom_nothing_is_said_go_first() -> None:
    history = AlertHistory(room=2, room_each=3)
    for number in range(10):
        history.add(record("busy", "large", AlertState.UPDATED, float(number), 0.0))
        history.add(record(f"c{number}", "large", AlertState.OPENED, float(number), float(number)))
    assert [one.as_of for one in history.of("busy")] == [7.0, 8.0, 9.0]
    assert history.of("c9")
    assert not history.of("c8")
