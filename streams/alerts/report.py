"""Figures of a trial of rules: how many alerts, how early, how they lie in time, what was withheld."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from streams.alerts.outcomes import AlertOutcome
from streams.alerts.rules import RuleSet
from streams.alerts.trial import TrialPart

HOUR_SECONDS = 3600.0


def report(trial: TrialPart, rules: RuleSet) -> dict[str, Any]:
    """One object: totals, one row a rule, alerts an hour, withheld posts by rule and reason, every alert."""
    return {
        "alerts": len(trial.alerts),
        "forecasts": trial.made,
        "unasked": trial.unasked,
        "per_hour": per_hour(trial.alerts),
        "rules": [rule_row(rule.name, trial) for rule in rules.rules],
        "withheld": [
            {"rule": rule, "reason": reason, "posts": number}
            for (rule, reason), number in sorted(withheld(trial).items())
        ],
        "opened": [msgspec.to_builtins(alert) for alert in trial.alerts],
        "withheld_posts": [msgspec.to_builtins(post) for post in trial.withheld],
    }


def rule_row(name: str, trial: TrialPart) -> dict[str, Any]:
    """What one rule did. Medians are None where there is nothing to take them of."""
    alerts = [alert for alert in trial.alerts if alert.rule == name]
    leads = [alert.lead_seconds for alert in alerts if alert.lead_seconds is not None]
    finals = [alert.final for alert in alerts if alert.final is not None]
    return {
        "rule": name,
        "alerts": len(alerts),
        "posts": len({alert.cascade for alert in alerts}),
        "updates": sum(alert.updates for alert in alerts),
        "still_open": sum(alert.resolved_as_of is None for alert in alerts),
        "median_age_seconds": _median([alert.age_seconds for alert in alerts]),
        "median_observed": _median([float(alert.observed) for alert in alerts]),
        "median_expected": _median([alert.expected for alert in alerts]),
        "final_known": len(finals),
        "median_final": _median([float(final) for final in finals]),
        "before_half": sum(lead > 0.0 for lead in leads),
        "median_lead_seconds": _median(leads),
        "peak_per_hour": per_hour(alerts)["peak"],
    }


def per_hour(alerts: Sequence[AlertOutcome]) -> dict[str, Any]:
    """Alerts opened in the hours of event time from the first to the last, those without any included."""
    hours = Counter(int(alert.opened_as_of // HOUR_SECONDS) for alert in alerts)
    if not hours:
        return {"hours": 0, "mean": 0.0, "median": 0.0, "p95": 0, "peak": 0, "peak_hour": None}
    span = range(min(hours), max(hours) + 1)
    counts = sorted([*hours.values(), *[0] * (len(span) - len(hours))])
    peak = max(span, key=lambda hour: (hours[hour], -hour))
    return {
        "hours": len(span),
        "mean": round(len(alerts) / len(span), 3),
        "median": float(statistics.median(counts)),
        "p95": counts[min(len(counts) - 1, int(0.95 * len(counts)))],
        "peak": hours[peak],
        "peak_hour": peak * HOUR_SECONDS,
    }


def withheld(trial: TrialPart) -> Counter[tuple[str, str]]:
    """Posts withheld, by rule and reason; one that waited for several reasons counts under each."""
    return Counter(
        (rule, reason) for rule, reason, _ in {(one.rule, one.reason, one.cascade) for one in trial.withheld}
    )


def _median(values: Sequence[float]) -> float | None:
    return round(float(statistics.median(values)), 3) if values else None
