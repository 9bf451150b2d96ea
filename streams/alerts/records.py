"""What is published on ``social.alerts``: a post that fulfils a rule opens an alert, which is updated and resolved."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec
import xxhash

ALERT_VERSION: Final = 1


class AlertState(StrEnum):
    """Where an alert stands. Every opened alert is resolved once."""

    OPENED = "opened"
    UPDATED = "updated"
    RESOLVED = "resolved"


class Severity(StrEnum):
    """How loudly people are told."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class AlertRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One change of one alert. Times are event time; sizes are reshares, ``expected`` to ``high`` at the horizon."""

    v: int = ALERT_VERSION
    id: str
    cascade: str
    rule: str
    state: AlertState
    as_of: float
    age_seconds: float
    observed: int
    expected: float
    low: float
    high: float
    reason: str
    alert: str  # the same in every record of one alert
    opened_as_of: float
    severity: Severity
    horizon_seconds: float
    model: str
    model_version: str
    source: str | None
    lang: str | None
    followers: int | None
    labels: dict[str, str]  # of the rule, for whoever routes alerts
    importance: float = 0.0  # octaves; see `streams.alerts.moment.importance_of`
    event: str = ""  # id of the last event that the forecast included


def alert_key(rule: str, cascade: str, opened_as_of: float) -> str:
    """The alert's own id: 128 bits of xxh3 over its parts, separated by a byte no id may hold."""
    return xxhash.xxh3_128_hexdigest("\x1f".join(("alert", rule, cascade, repr(opened_as_of))).encode())


def alert_id(alert: str, state: AlertState, as_of: float) -> str:
    """The same change has the same id in every run, so that a consumer can drop a repeat."""
    return xxhash.xxh3_128_hexdigest("\x1f".join((alert, state.value, repr(as_of))).encode())


def alert_schema() -> dict[str, object]:
    """JSON Schema (draft 2020-12) of the alerts topic."""
    schema = msgspec.json.schema(AlertRecord)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "social.alerts", **schema}
