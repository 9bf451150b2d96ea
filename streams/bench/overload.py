"""What is left of the alerts under overload: a recorded stream played at several times the capacity to forecast.

Capacity is so many forecasts a second of event time, which is the clock here, so that a run is the same on any machine.
At a load of 5 a fifth of the forecasts can be made that an unhurried pass makes. Beside the worker's order stand the
largest first, and the one that has waited longest first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from graph import Event
from streams.alerts.moment import Quantity
from streams.alerts.records import AlertState
from streams.alerts.rules import Condition, Rule, RuleBook, RuleSet
from streams.alerts.telling import tell_partitions
from streams.bench.plan import PipelinePlan, events_of
from streams.bench.rows import row
from streams.bench.throughput import Tell
from streams.engine.answers import give_to_learners
from streams.engine.inference import ForecastService, load_service
from streams.engine.partition import Partition
from streams.engine.priority import Claim, Order, by_importance, in_turn
from streams.settings import Settings, load_settings

LOADS: Final = (1.0, 2.0, 5.0, 10.0)
STEP_SECONDS: Final = 10.0
"""Of event time: what comes in it is taken in together, then so much of the capacity is used."""

RESOLVE_SHARE: Final = 0.7


def largest_first(claims: Sequence[Claim], limit: int, within_seconds: float, levels: Sequence[float]) -> list[str]:
    """The order of a worker that looks at sizes alone."""
    return [claim.cascade for claim in sorted(claims, key=lambda one: (-one.size, one.cascade))[:limit]]


ORDERS: Final[dict[str, Order]] = {
    "the worker's order": by_importance,
    "largest first": largest_first,
    "longest wait first": in_turn,
}


@dataclass(frozen=True, slots=True)
class OverloadPlan:
    """``events`` of the simulator, or of a file whose cascades are laid over one day; alerts from an expected size
    ``level`` on."""

    events: int = 100_000
    file: str | None = None
    models: str = "trees"
    level: float = 500.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Played:
    """When the first alert of each post was opened (event time), and how many forecasts were made."""

    opened: dict[str, float]
    made: int


def run(plan: OverloadPlan, tell: Tell) -> list[dict[str, Any]]:
    """The rows of ``cascadecast bench overload``."""
    settings = load_settings(models=plan.models).of_partitions(1)
    # The clock is event time: what fell due is promised before the next slot of its post ends.
    settings = settings.model_copy(update={"forecast_within_seconds": settings.forecast_delay_seconds})
    service = load_service(settings)
    rules = rules_from(plan.level)
    events = list(events_of(PipelinePlan(plan.events, plan.file, seed=plan.seed)))
    tell("the unhurried pass")
    whole = play(events, settings, service, rules)
    seconds = events[-1].time - events[0].time
    rows = [
        row("unhurried: forecasts", whole.made, "forecasts"),
        row("unhurried: posts with an alert", len(whole.opened), "posts"),
    ]
    for load in LOADS:
        for name, order in ORDERS.items():
            tell(f"{load:g} times the capacity, {name}")
            found = play(events, settings, service, rules, whole.made / seconds / load, order)
            rows += _rows(f"load {load:g}, {name}", found, whole)
    return rows


def rules_from(level: float) -> RuleSet:
    """One rule: an expected size of ``level`` at least."""
    return RuleSet((Rule("large", (Condition(Quantity.EXPECTED, level, RESOLVE_SHARE * level),)),))


def _rows(name: str, found: Played, whole: Played) -> list[dict[str, Any]]:
    both = sorted(found.opened.keys() & whole.opened.keys())
    later = np.array([found.opened[post] - whole.opened[post] for post in both])
    rows = [
        row(f"{name}: forecasts", found.made, "forecasts", "unhurried", whole.made),
        row(f"{name}: alerts kept", len(both), "posts", "unhurried", len(whole.opened)),
        row(f"{name}: alerts of other posts", len(found.opened) - len(both), "posts"),
    ]
    if len(later):
        rows += [
            row(f"{name}: later than unhurried, mean", float(later.mean()), "s"),
            row(f"{name}: later than unhurried, p90", float(np.quantile(later, 0.9)), "s"),
        ]
    return rows


def play(
    events: Sequence[Event],
    settings: Settings,
    service: ForecastService,
    rules: RuleSet,
    capacity: float | None = None,
    order: Order | None = None,
) -> Played:
    """Play events, in order of time, to one partition that makes ``capacity`` forecasts a second of event time, in
    ``order``; None: all that fall due."""
    now = events[0].time
    partition = Partition(0, settings, RuleBook(rules), clock=lambda: now, order=order)
    opened: dict[str, float] = {}
    made, credit = 0, 0.0
    for end, step in _steps(events):
        now = end
        partition.apply_events(step)
        if capacity is None:
            made += _forecast(partition, settings, service, opened, None)
            continue
        credit += capacity * STEP_SECONDS
        spent = _forecast(partition, settings, service, opened, int(credit))
        # An idle moment's capacity cannot be kept for a busy one, a broken forecast's part of it can.
        credit = min(credit - spent, 1.0)
        made += spent
    return Played(opened, made)


def _steps(events: Sequence[Event]) -> Iterator[tuple[float, list[Event]]]:
    """The end of each step of event time and what came in it, idle ones included."""
    end, step = events[0].time + STEP_SECONDS, list[Event]()
    for event in events:
        while event.time >= end:
            yield end, step
            end, step = end + STEP_SECONDS, []
        step.append(event)
    yield end, step


def _forecast(
    partition: Partition, settings: Settings, service: ForecastService, opened: dict[str, float], most: int | None
) -> int:
    """Make what is due, at most so many; how many were made."""
    made = 0
    while partition.has_due() and (most is None or made < most):
        limit = settings.inference_batch if most is None else min(settings.inference_batch, most - made)
        dues = partition.take_due(limit, overloaded=most is not None)
        runs = service.forecast(dues)
        give_to_learners(dues, [answer for run in runs for answer in run.answers], settings.horizon_seconds)
        tell_partitions([partition], runs, service.lineup)
        changes = partition.take_alerts()
        for change in changes:
            if change.record.state is AlertState.OPENED:
                opened.setdefault(change.record.cascade, change.record.opened_as_of)
        partition.scored(partition.take_truths())
        partition.alerted(changes)
        for due in dues:
            partition.published(due)
        made += len(dues)
        if not dues and not partition.backlog():
            break
    return made
