"""The records of an alert's life: opened and updated by a forecast, resolved by one or by event time."""

from __future__ import annotations

import math

from streams.alerts.moment import Moment
from streams.alerts.records import AlertRecord, AlertState, alert_id, alert_key
from streams.alerts.rules import Rule
from streams.alerts.standings import Phase, Standing, Told
from streams.records import ForecastRecord, rounded


def open_standing(rule: Rule, since: float, moment: Moment, horizon_seconds: float) -> Standing:
    """An alert that has been open ``since``, as it is told now."""
    forecast, view = moment.forecast, moment.view
    told = Told(
        rule.severity,
        rule.labels,
        view.root_source,
        view.root_lang,
        view.root_followers,
        forecast.model,
        forecast.model_version,
        forecast.observed,
        forecast.expected,
        forecast.low,
        forecast.high,
        rounded(rule.importance(moment)),
        forecast.event,
    )
    return Standing(rule.name, Phase.OPEN, since, view.root_time + horizon_seconds, "", told)


def closed_standing(rule: Rule, as_of: float) -> Standing:
    """What is left of an alert that a forecast resolved."""
    if rule.cool_down_seconds > 0.0:
        return Standing(rule.name, Phase.COOLING, as_of, as_of + rule.cool_down_seconds)
    return Standing(rule.name, Phase.GONE, as_of, as_of)


def by_forecast(standing: Standing, forecast: ForecastRecord, state: AlertState, reason: str) -> AlertRecord:
    """What ``forecast`` makes of an alert."""
    told = standing.told
    assert told is not None, "open alerts are told of"
    alert = alert_key(standing.rule, forecast.cascade, standing.since)
    return AlertRecord(
        id=alert_id(alert, state, forecast.as_of),
        cascade=forecast.cascade,
        rule=standing.rule,
        state=state,
        as_of=forecast.as_of,
        age_seconds=forecast.age_seconds,
        observed=forecast.observed,
        expected=forecast.expected,
        low=forecast.low,
        high=forecast.high,
        reason=reason,
        alert=alert,
        opened_as_of=standing.since,
        severity=told.severity,
        horizon_seconds=forecast.horizon_seconds,
        model=forecast.model,
        model_version=forecast.model_version,
        source=told.source,
        lang=told.lang,
        followers=told.followers,
        labels=told.labels,
        importance=told.importance,
        event=forecast.event,
    )


def by_time(
    cascade: str, standing: Standing, as_of: float, reason: str, horizon_seconds: float, size: int | None
) -> AlertRecord:
    """The end of an alert that no forecast brings: with the post's final ``size``, else with what was last told."""
    told = standing.told
    assert told is not None, "open alerts are told of"
    alert = alert_key(standing.rule, cascade, standing.since)
    final = None if size is None else float(size)
    return AlertRecord(
        id=alert_id(alert, AlertState.RESOLVED, as_of),
        cascade=cascade,
        rule=standing.rule,
        state=AlertState.RESOLVED,
        as_of=as_of,
        age_seconds=max(0.0, round(as_of - standing.until + horizon_seconds, 3)),
        observed=told.observed if size is None else size,
        expected=told.expected if final is None else final,
        low=told.low if final is None else final,
        high=told.high if final is None else final,
        reason=reason,
        alert=alert,
        opened_as_of=standing.since,
        severity=told.severity,
        horizon_seconds=horizon_seconds,
        model=told.model,
        model_version=told.model_version,
        source=told.source,
        lang=told.lang,
        followers=told.followers,
        labels=told.labels,
        importance=told.importance,
        event=told.event,
    )


def news(before: Standing, forecast: ForecastRecord) -> str:
    """Why an open alert is told of again."""
    told = before.told
    assert told is not None, "open alerts are told of"
    grown = forecast.expected / told.expected if told.expected > 0.0 else math.inf
    return f"expected size {grown:.2g} times what was last told"
