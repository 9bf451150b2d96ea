"""A trial leaves out the forecasts of which no rule can make anything: what comes of the others is the same."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from graph import Event, Kind
from streams.alerts.moment import Quantity
from streams.alerts.rules import Condition, Rule, RuleBook, RuleSet
from streams.engine.partition import Partition
from streams.settings import Settings
from tests.streams.alerts.alert_engine import EVERYTHING, Told, at_least, end, finish, rule
from tests.streams.learning_engine import HOUR, learning_settings, long_stream, service

OPENING = (
    at_least(Quantity.OBSERVED, 3.0),
    at_least(Quantity.OBSERVED, 8.0),
    Condition(Quantity.OBSERVED, 12.0, None, at_most=True),
    at_least(Quantity.AGE, 600.0),
    Condition(Quantity.AGE, 1800.0, None, at_most=True),
    at_least(Quantity.RATE, 20.0, 5.0),
    at_least(Quantity.ACCELERATION, 2.0, 0.5),
    at_least(Quantity.FOLLOWERS, 100.0),
)
"""What a post fulfils or not whatever is forecast of it."""


@st.composite
def rule_sets(draw: st.DrawFn) -> RuleSet:
    """Rules of `EVERYTHING`, each narrowed to posts of some kind."""
    rules: list[Rule] = []
    for number, one in enumerate(draw(st.lists(st.sampled_from(EVERYTHING.rules), min_size=1, max_size=3))):
        narrower = draw(st.lists(st.sampled_from(OPENING), max_size=2, unique=True))
        rules.append(replace(one, name=f"{one.name}-{number}", conditions=(*one.conditions, *narrower)))
    return replace(EVERYTHING, rules=tuple(rules), cap_per_hour=draw(st.sampled_from([None, 12.0])))


def played(
    events: list[Event], config: Settings, rules: RuleSet, batch: int, limit: int, *, for_alerts: bool
) -> tuple[Told, Partition]:
    models, told = service(config), Told()
    partition = Partition(0, config, RuleBook(rules), for_alerts=for_alerts)
    for start in range(0, len(events), batch):
        partition.apply_events(events[start : start + batch])
        finish(partition, models, config, told, limit)
    end(partition, events, models, config, told)
    return told, partition


@given(st.integers(0, 10_000), rule_sets(), st.integers(1, 400), st.integers(1, 64))
@settings(max_examples=25, deadline=None)
def test_alerts_and_states_are_the_same(seed: int, rules: RuleSet, batch: int, limit: int) -> None:
    events, config = long_stream(seed, 12), learning_settings()
    every, partition = played(events, config, rules, batch, limit, for_alerts=False)
    asked, sparing = played(events, config, rules, batch, limit, for_alerts=True)
    assert asked.order == every.order
    assert sparing.alerts.withheld == partition.alerts.withheld
    over = max(event.time for event in events) + 4 * HOUR
    for one in (partition, sparing):
        one.alerts.journal.forget(over - 2 * HOUR)  # the last forecast of each may lie in another slot
    assert sparing.alerts.journal.now.snapshot() == partition.alerts.journal.now.snapshot()
    assert partition.unasked == 0


def test_what_no_rule_can_use_is_not_made() -> None:
    events, config = long_stream(1, 12), learning_settings(score_ages_seconds=(1800,))
    rules = RuleSet((rule("grown", at_least(Quantity.EXPECTED, 30.0, 20.0), at_least(Quantity.OBSERVED, 15.0)),))
    every, partition = played(events, config, rules, 100, 8, for_alerts=False)
    asked, sparing = played(events, config, rules, 100, 8, for_alerts=True)
    assert asked.order == every.order
    assert every.order, "some posts fulfil it"
    assert sparing.unasked > partition.due_total / 2
    assert sparing.due_total == partition.due_total


def test_what_the_same_round_opens_is_looked_at_again() -> None:
    config = learning_settings(score_ages_seconds=(7000,))
    rules = RuleSet(
        (rule("few", at_least(Quantity.EXPECTED, 12.0, 6.0), Condition(Quantity.OBSERVED, 15.0, None, at_most=True)),)
    )
    reposts = [Event(f"r{n}", "p", Kind.REPOST, 1000.0 + (20.0 if n < 10 else 90.0), parent="p") for n in range(40)]
    later = Event("q", "q", Kind.POST, 1500.0)  # brings both forecasts of the post at once
    events = [Event("p", "p", Kind.POST, 1000.0), *reposts, later]
    every, _ = played(events, config, rules, len(events), 64, for_alerts=False)
    asked, _ = played(events, config, rules, len(events), 64, for_alerts=True)
    assert [record.state.value for record in every.order] == ["opened", "updated", "resolved"]
    assert asked.order == every.order
