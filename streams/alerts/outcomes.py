"""What became of the posts that alerts were opened on: how large they ended, and when they were half that large."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from graph import Cascade
from streams.alerts.records import AlertRecord, AlertState
from streams.alerts.rules import Rule
from streams.alerts.standings import Withheld
from streams.records import ForecastRecord
from streams.scoring.kept import just_before


class AlertOutcome(msgspec.Struct):
    """One alert and its post. Sizes are reshares, times event time."""

    rule: str
    severity: str
    cascade: str
    opened_as_of: float
    age_seconds: float
    observed: int
    expected: float
    updates: int = 0
    resolved_as_of: float | None = None
    resolved_by: str | None = None
    final: int | None = None  # size at the horizon, where the stream tells
    half_age_seconds: float | None = None
    lead_seconds: float | None = None  # from the alert to half of the final size; negative: it came later


class WithheldPost(msgspec.Struct, frozen=True):
    """A post that fulfilled a rule and opened no alert at that time."""

    rule: str
    cascade: str
    as_of: float
    expected: float
    reason: str


class Outcomes:
    """Gathers the alerts of some partitions, and the truth about their posts."""

    def __init__(self, horizon_seconds: float) -> None:
        self._horizon = horizon_seconds
        self._alerts: dict[str, AlertOutcome] = {}
        self._of_cascade: dict[str, list[AlertOutcome]] = {}
        self.withheld: list[WithheldPost] = []
        self.records: list[AlertRecord] = []

    def note(self, record: AlertRecord) -> None:
        """Take a record as it is made."""
        self.records.append(record)
        if record.state is AlertState.OPENED:
            self._alerts[record.alert] = outcome = AlertOutcome(
                record.rule, record.severity.value, record.cascade, record.as_of, record.age_seconds, record.observed,
                record.expected,
            )  # fmt: skip
            self._of_cascade.setdefault(record.cascade, []).append(outcome)
            return
        outcome = self._alerts[record.alert]
        if record.state is AlertState.UPDATED:
            outcome.updates += 1
        else:
            outcome.resolved_as_of, outcome.resolved_by = record.as_of, record.reason

    def note_withheld(self, rule: Rule, forecast: ForecastRecord, why: Withheld) -> None:
        """Take a post that opened no alert."""
        post = WithheldPost(rule.name, forecast.cascade, forecast.as_of, forecast.expected, why.value)
        self.withheld.append(post)

    def settle(self, cascades: Iterable[Cascade], watermark: float) -> None:
        """Posts that leave memory, or are there at the end: those that have reached the horizon tell the truth."""
        for cascade in cascades:
            outcomes = self._of_cascade.pop(cascade.id, ())
            matures = cascade.root_time + self._horizon
            if matures > watermark or cascade.withdrawn_at <= matures:
                continue
            view = cascade.view(just_before(matures))
            half = -(-view.size // 2)
            ages = view.reshare_ages
            for outcome in outcomes:
                outcome.final = view.size
                if 0 < half <= len(ages):
                    outcome.half_age_seconds = float(ages[half - 1])
                    outcome.lead_seconds = outcome.half_age_seconds - outcome.age_seconds

    def alerts(self) -> list[AlertOutcome]:
        """All alerts, in order of their opening."""
        return sorted(self._alerts.values(), key=lambda one: (one.opened_as_of, one.cascade, one.rule))
