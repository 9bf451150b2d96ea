"""An alert as Alertmanager's API (v2) takes it: labels that identify it, annotations for people, from when to when."""

from __future__ import annotations

import re
from typing import Any

from streams.alerts.delivery import wording
from streams.alerts.delivery.notices import Notice
from streams.alerts.records import AlertRecord, AlertState

_NO_LABEL_CHARACTER = re.compile(r"[^a-zA-Z0-9_]")


def labels(record: AlertRecord) -> dict[str, str]:
    """What identifies and routes the alert: the same in all its records. The rule's own labels come last.

    Ids stand as they are, since routes and silences compare them byte for byte.
    """
    own = {
        "alertname": record.rule,
        "cascade": record.cascade,
        "source": record.source or "",
        "severity": record.severity.value,
    }
    return {**{label_name(name): value for name, value in record.labels.items()}, **own}


def label_name(name: str) -> str:
    """A name that Prometheus takes for a label.

    >>> label_name("team-eu"), label_name("2nd")
    ('team_eu', '_2nd')
    """
    cleaned = _NO_LABEL_CHARACTER.sub("_", name)
    return f"_{cleaned}" if not cleaned or cleaned[0].isdigit() else cleaned


def alert(notice: Notice, link: str | None, now: float, expire_seconds: float) -> dict[str, Any]:
    """The alert as it stands at ``now``, seconds of wall time.

    An open one ends ``expire_seconds`` from now unless it is sent again. A resolved one ended when the events say so,
    or now if these are ahead of the clock: an end that lies ahead would leave it open.
    """
    record = notice.record
    # Of events ahead of the clock an alert would otherwise begin after its end, which is refused.
    began = min(record.opened_as_of, notice.published)
    if record.state is AlertState.RESOLVED:
        ended = max(began, min(record.as_of, now))
    else:
        ended = max(began, now) + expire_seconds
    told: dict[str, Any] = {
        "labels": labels(record),
        "annotations": {
            "summary": wording.summary(record),
            "description": wording.description(record, None),
            "reason": wording.plain(record.reason, wording.MAX_REASON_CHARACTERS),
            "expected": wording.size(record.expected),
            "low": wording.size(record.low),
            "high": wording.size(record.high),
            "observed": wording.size(record.observed),
            "age": wording.duration(record.age_seconds),
        },
        "startsAt": wording.rfc3339(began),
        "endsAt": wording.rfc3339(ended),
    }
    if link is not None:
        told["annotations"]["link"] = link
        told["generatorURL"] = link
    return told
