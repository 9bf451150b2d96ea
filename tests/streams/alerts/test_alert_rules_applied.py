"""What each part of a rule does to the alerts of a post, told one forecast after the other."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from graph import CascadeView
from streams.alerts.engine import PartitionAlerts
from streams.alerts.histograms import Ranks
from streams.alerts.moment import Moment, Quantity, importance_of
from streams.alerts.quiet_hours import QuietHours
from streams.alerts.records import AlertRecord, AlertState, Severity
from streams.alerts.rules import Condition, RuleBook, RuleSet
from streams.alerts.standings import Withheld
from streams.engine.partition import Partition
from tests.streams.alerts.alert_engine import at_least, rule
from tests.streams.alerts.test_likelihood import forecast
from tests.streams.conftest import cascade_events
from tests.streams.learning_engine import HOUR, learning_settings

START = 1_400_000_400.0
CONFIG = learning_settings(learn_every_seconds=3600.0)


def view_of(cascade: str, as_of: float, delays: list[float] | None = None, **root: object) -> CascadeView:
    """A post of START with reposts after the given delays."""
    events = cascade_events(cascade, START, delays or [1.0])
    if root:
        import msgspec

        events[0] = msgspec.structs.replace(events[0], **root)
    partition = Partition(0, CONFIG)
    partition.apply_events(events)
    found = partition.store.get(cascade)
    assert found is not None
    return found.view(as_of)


class Told:
    """An engine and what it said."""

    def __init__(self, *rules: object, **shared: object) -> None:
        self.book = RuleBook(RuleSet(tuple(rules), **shared))  # type: ignore[arg-type]
        slot_start = Partition(0, CONFIG).learner.slot_start
        self.alerts = PartitionAlerts(CONFIG, self.book, slot_start)

    def say(self, minutes: float, expected: float, cascade: str = "c", **root: object) -> list[str]:
        """The champion expects so much of the post at such an age; the states it brought."""
        as_of = START + 60.0 * minutes
        said = forecast(
            1, expected, expected / 2, expected * 2, cascade=cascade, as_of=as_of, age_seconds=60.0 * minutes,
            horizon_seconds=CONFIG.horizon_seconds,
        )  # fmt: skip
        self.alerts.advance(as_of, lambda _: None)
        self.alerts.tell(said, view_of(cascade, as_of, **root))
        return [record.state.value for record in self.take()]

    def take(self) -> list[AlertRecord]:
        return [change.record for change in self.alerts.take_changes()]

    def until(self, minutes: float) -> list[AlertRecord]:
        self.alerts.advance(START + 60.0 * minutes, lambda _: None)
        return self.take()

    def withheld(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for (_, why), number in self.alerts.withheld.items():
            found[why.value] = found.get(why.value, 0) + number
        return found


LARGE = rule("large", at_least(Quantity.EXPECTED, 100.0, 70.0))


def test_between_the_two_thresholds_nothing_changes() -> None:
    told = Told(LARGE)
    said = [told.say(minute, size) for minute, size in enumerate((99.0, 100.0, 80.0, 71.0, 100.0, 69.0, 90.0, 100.0))]
    assert said == [[], ["opened"], [], [], [], ["resolved"], [], ["opened"]]


def test_news_is_growth_since_what_was_last_told() -> None:
    told = Told(LARGE)
    said = [told.say(minute, size) for minute, size in enumerate((100.0, 149.0, 150.0, 200.0, 225.0))]
    assert said == [["opened"], [], ["updated"], [], ["updated"]]


def test_after_a_cool_down_the_rule_speaks_again() -> None:
    told = Told(replace(LARGE, cool_down_seconds=600.0))
    said = [told.say(minute, size) for minute, size in ((0, 100.0), (1, 10.0), (2, 100.0), (10, 100.0), (11, 100.0))]
    assert said == [["opened"], ["resolved"], [], [], ["opened"]]
    assert told.withheld() == {"cooling-down": 1}


def test_in_quiet_hours_only_those_that_ignore_them_open() -> None:
    quiet = QuietHours.parse(["17:00-18:00"], "UTC")  # START is 17:00
    loud = replace(LARGE, name="loud", ignores_quiet_hours=True)
    told = Told(LARGE, loud, quiet_hours=quiet)
    assert told.say(1, 100.0) == ["opened"]
    assert told.say(2, 100.0) == []
    assert told.withheld() == {"quiet": 1}
    assert told.say(61, 100.0) == ["opened"], "it still holds when they are over"
    assert {record.rule for record in told.until(1000)} == {"large", "loud"}


def test_maturity_needs_no_forecast() -> None:
    told = Told(LARGE)
    told.say(1, 100.0)
    (record,) = told.until(121)
    assert (record.state, record.reason, record.as_of) == (AlertState.RESOLVED, "matured", START + 2 * HOUR)
    assert (record.age_seconds, record.expected) == (2 * HOUR, 100.0)
    assert told.until(999) == []


def test_a_post_taken_back_ends_its_alerts() -> None:
    told = Told(LARGE, replace(LARGE, name="other"))
    told.say(1, 100.0)
    told.alerts.withdrawn("c", START + 90.0)
    ends = told.take()
    assert {(record.rule, record.reason, record.as_of) for record in ends} == {
        ("large", "withdrawn", START + 90.0),
        ("other", "withdrawn", START + 90.0),
    }
    assert not told.alerts.is_behind(START + HOUR)


def test_a_rule_that_has_gone_ends_its_alerts_and_one_that_changed_goes_on() -> None:
    told = Told(LARGE, replace(LARGE, name="other"))
    told.say(1, 100.0)
    told.book.current = RuleSet((rule("large", at_least(Quantity.EXPECTED, 500.0, 400.0)),))
    assert told.alerts.is_behind(START)
    assert [(record.rule, record.reason) for record in told.until(2)] == [("other", "rule removed")]
    assert told.say(3, 100.0) == ["resolved"], "by the threshold it has now"


def test_an_evicted_post_ends_its_alerts() -> None:
    told = Told(LARGE)
    told.say(1, 100.0)
    partition = Partition(0, CONFIG)
    partition.apply_events(cascade_events("c", START, [1.0]))
    cascade = partition.store.get("c")
    assert cascade is not None
    told.alerts.let_go(cascade, START + 120.0, grown_out=False)
    assert [(record.reason, record.as_of) for record in told.until(2)] == [("gone from memory", START + 120.0)]


def test_the_cap_keeps_the_most_important() -> None:
    """Many small candidates an hour, and few large ones: once the bar is known, the large ones open."""
    told = Told(LARGE, cap_per_hour=2.0)
    opened: list[tuple[int, int]] = []
    for hour in range(8):
        for number in range(20):
            size = 4000.0 if number in (11, 17) else 100.0 + number
            minute = 60 * hour + 2 * number + 1
            post = f"{hour}-{number}"
            as_of = START + 60.0 * minute
            said = forecast(1, size, size / 2, size * 2, cascade=post, as_of=as_of, horizon_seconds=1e6)
            told.alerts.advance(as_of, lambda _: None)
            told.alerts.tell(said, view_of(post, as_of))
            opened += [(hour, number) for record in told.take() if record.state is AlertState.OPENED]
    assert [number for hour, number in opened if hour >= 1] == [11, 17] * 7
    first = [number for hour, number in opened if hour == 0]
    assert first == [0, 1, 15], "nothing is known yet: two at once, and the next half an hour later"
    assert told.withheld()[Withheld.OUTRANKED] > 100


def test_the_gravest_rule_gets_what_is_left_of_the_cap() -> None:
    told = Told(replace(LARGE, name="mild"), replace(LARGE, name="grave", severity=Severity.CRITICAL), cap_per_hour=1.0)
    told.say(1, 100.0)
    assert told.alerts.open_now() == {"grave": 1}


def test_filters_and_limits_decide_on_opening_alone() -> None:
    young = rule(
        "young", at_least(Quantity.EXPECTED, 100.0, 70.0), Condition(Quantity.AGE, 600.0, None, at_most=True),
        at_least(Quantity.FOLLOWERS, 10.0), sources=frozenset({"weibo"}), languages=frozenset({"zh"}),
    )  # fmt: skip
    root = {"source": "weibo", "lang": "zh", "followers": 10}
    for changed in ({"source": "x"}, {"lang": None}, {"followers": 9}, {"followers": None}):
        assert Told(young).say(1, 100.0, **(root | changed)) == []
    told = Told(young)
    assert told.say(11, 100.0, **root) == []
    assert told.say(9, 100.0, **root) == ["opened"]
    assert told.say(100, 100.0, **root) == []


def moment(delays: list[float], age: float, **more: object) -> Moment:
    said = forecast(len(delays), 100.0, 50.0, 200.0, as_of=START + age, age_seconds=age, **more)
    return Moment(said, view_of("c", START + age, delays), Ranks({}), 1)


def test_rates_are_those_of_the_last_hour_or_of_the_life() -> None:
    delays = [float(number) for number in range(1, 7201, 10)]  # six a minute
    assert moment(delays, 7200.0).value(Quantity.RATE, math.nan) == pytest.approx(360.0, rel=0.01)
    assert moment([60.0, 120.0, 170.0], 180.0).value(Quantity.RATE, math.nan) == pytest.approx(60.0)
    assert moment([1.0, 2.0], 3.0).value(Quantity.RATE, math.nan) == pytest.approx(120.0), "of a minute at least"


def test_acceleration_compares_the_halves_of_that_time() -> None:
    assert moment([100.0, 700.0, 800.0, 900.0], 1000.0).value(Quantity.ACCELERATION, math.nan) == pytest.approx(2.0)
    steady = [float(number) for number in range(1, 7201, 10)]
    assert moment(steady, 7200.0).value(Quantity.ACCELERATION, math.nan) == pytest.approx(1.0, abs=0.02)


def test_what_has_hardly_begun_matters_more_than_what_is_nearly_over() -> None:
    early, late = (forecast(seen, 5000.0, 3000.0, 8000.0) for seen in (10, 4900))
    assert importance_of(early) > importance_of(late) + 2
    assert LARGE.importance(moment([1.0], 60.0)) == importance_of(moment([1.0], 60.0).forecast) + 3.0
