"""Alert records for tests: the story of one alert, and what stands around a record in Kafka."""

from __future__ import annotations

from typing import Any

import msgspec

from streams.alerts.delivery.notices import Notice, Original
from streams.alerts.records import AlertRecord, AlertState, Severity, alert_id, alert_key

OPENED_AS_OF = 1_700_000_000.0


def alert_record(
    state: AlertState = AlertState.OPENED,
    *,
    cascade: str = "post-1",
    rule: str = "GoesViral",
    after: float = 0.0,
    **changes: Any,
) -> AlertRecord:
    """A record of the alert on a post, so many seconds after it was opened."""
    opened = changes.pop("opened_as_of", OPENED_AS_OF)
    alert = alert_key(rule, cascade, opened)
    stated: dict[str, Any] = {
        "id": alert_id(alert, state, opened + after), "cascade": cascade, "rule": rule, "state": state,
        "as_of": opened + after, "age_seconds": 1500.0 + after, "observed": 340, "expected": 12_345.6, "low": 8000.0,
        "high": 20_000.0, "reason": "It is in the top 1 %.", "alert": alert, "opened_as_of": opened,
        "severity": Severity.WARNING, "horizon_seconds": 86_400.0, "model": "blend", "model_version": "2",
        "source": "weibo", "lang": "zh", "followers": 5200, "labels": {"team": "news"},
    }  # fmt: skip
    return AlertRecord(**{**stated, **changes})


def notice(record: AlertRecord, *, partition: int = 0, offset: int = 0, published: float = OPENED_AS_OF) -> Notice:
    """The record as it was read."""
    value = msgspec.json.encode(record)
    return Notice(record, Original(partition, offset, published, record.cascade.encode(), value))
