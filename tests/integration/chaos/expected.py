"""What an undisturbed pass in one process makes of the stream, and what must be left in memory at the end."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from graph import Event, Kind
from streams.alerts.records import AlertRecord
from streams.alerts.rule_file import load_rules
from streams.engine.changes import Fate
from streams.engine.forecast_file import forecast_events
from streams.engine.inference import load_service
from streams.engine.partition import Partition
from streams.kafka.partitioner import partition_of
from streams.records import ForecastRecord
from streams.scoring.scores import ScoreRecord
from streams.settings import Settings
from tests.integration.single_pass import Totals, totals

DRAIN_SECONDS: Final = 5400.0
"""Past the horizon of every post: all forecasts fall due and all scores are known."""

RULES: Final = Path(__file__).with_name("rules.toml")

Records = dict[str, dict[str, Any]]
"""By id."""


@dataclass(frozen=True, slots=True)
class Expected:
    """Outputs by id; final (size, depth, users) of every cascade there ever was, and which are live in the end."""

    forecasts: Records
    scores: Records
    alerts: Records
    totals: Totals
    must_live: frozenset[str]


def undisturbed(events: list[Event], strays: list[Event], settings: Settings) -> Expected:
    """One pass over the stream by the product's engine, and one by dictionaries."""
    scores: list[ScoreRecord] = []
    alerts: list[AlertRecord] = []
    run = forecast_events(
        events, settings, load_service(settings), drain_seconds=DRAIN_SECONDS, on_score=scores.append,
        rules=load_rules(RULES), on_alert=alerts.append,
    )  # fmt: skip
    forecasts = _by_id(run)
    accepted, must_live = _accepted(events, settings)
    found = totals(msgspec.to_builtins(event) for event in accepted)
    if settings.retention_seconds > 1e8:  # else they left before they came
        found |= totals(msgspec.to_builtins(event) for event in strays)
        must_live |= {event.cascade for event in strays}
    return Expected(forecasts, _by_id(scores), _by_id(alerts), found, frozenset(must_live))


def _by_id(records: Iterable[ForecastRecord | ScoreRecord | AlertRecord]) -> Records:
    return {record.id: json.loads(msgspec.json.encode(record)) for record in records}


def _accepted(events: Sequence[Event], settings: Settings) -> tuple[list[Event], set[str]]:
    """The events that come before their cascade has left, by the clock of an undisturbed pass, and the cascades that
    stay to the end."""
    partitions = [Partition(number, settings) for number in range(settings.partitions)]
    roots: dict[str, float] = {}
    rooted: set[str] = set()
    accepted: list[Event] = []
    for event in events:
        partition = partitions[partition_of(event.cascade, settings.partitions)]
        if partition.apply_events([event]).fates[Fate.LATE]:
            continue
        accepted.append(event)
        if event.kind is Kind.POST and event.cascade not in rooted:
            rooted.add(event.cascade)
            roots[event.cascade] = event.time
        elif event.cascade not in rooted:
            roots[event.cascade] = min(event.time, roots.get(event.cascade, math.inf))
    end = max(event.time for event in events) + DRAIN_SECONDS
    return accepted, {cascade for cascade, root in roots.items() if root + settings.retention_seconds >= end}
