"""The event-time machine of one partition."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from itertools import pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from graph import Event, Kind
from streams.alerts.moment import Quantity
from streams.alerts.rules import Condition, Rule, RuleBook, RuleSet
from streams.engine.changes import Fate
from streams.engine.due import Due, Skipped
from streams.engine.partition import Partition
from streams.engine.priority import Claim
from streams.engine.raw_record import Record
from streams.records import ForecastRecord
from streams.settings import Settings
from tests.streams.conftest import cascade_events, random_stream

Made = tuple[str, float, str, int, float]


def settings(**changes: object) -> Settings:
    defaults: dict[str, object] = {"models": ("doubling",), "allowed_lateness_seconds": 0, "forecast_delay_seconds": 60}
    return Settings(**{**defaults, **changes})  # type: ignore[arg-type]


def run(
    events: Sequence[Event], cuts: Sequence[int], config: Settings, bite: int = 1000
) -> tuple[list[Made], Partition]:
    """Apply the events in batches cut where told; what is forecast, with a digest of what each forecast saw."""
    partition = Partition(0, config)
    made: list[Made] = []
    edges = [0, *sorted(cuts), len(events)]
    for start, end in pairwise(edges):
        partition.apply_events(events[start:end])
        made += drain(partition, bite)
    partition.watermark.advance_to(max(event.time for event in events) + 3600)
    made += drain(partition, bite)
    return made, partition


def drain(partition: Partition, bite: int = 1000) -> list[Made]:
    made: list[Made] = []
    while partition.has_due():
        for due in partition.take_due(bite):
            seen = float(due.view.ages.sum() + due.view.depths.sum())
            made.append((due.cascade, due.as_of, due.event, due.view.size, seen))
            partition.published(due)
    return made


@given(st.integers(0, 10_000), st.lists(st.integers(0, 400), max_size=8), st.integers(1, 50), st.integers(0, 60))
def test_forecasts_do_not_depend_on_batch_boundaries(seed: int, cuts: list[int], bite: int, disorder: int) -> None:
    """Also when events come late: what a forecast saw was fixed by the sequence of events, not by the batches."""
    events = random_stream(seed, cascades=12)
    shuffler = random.Random(seed)
    events.sort(key=lambda event: event.time + shuffler.uniform(0, disorder * 10))
    cuts = [min(cut, len(events)) for cut in cuts]
    config = settings(allowed_lateness_seconds=20)
    whole, _ = run(events, [], config)
    cut, _ = run(events, cuts, config, bite)
    each, _ = run(events, range(1, len(events)), config)
    assert sorted(cut) == sorted(whole) == sorted(each)
    assert len({(cascade, as_of) for cascade, as_of, *_ in whole}) == len(whole)


@given(st.lists(st.integers(0, 12), min_size=1, max_size=30), st.lists(st.integers(0, 30), max_size=6))
def test_nor_when_many_events_share_the_instant_at_which_a_forecast_falls_due(
    seconds: list[int], cuts: list[int]
) -> None:
    """Slots of a millisecond: every event's own time is a forecast's."""
    root, *reposts = cascade_events("c", 1000.0, [float(second) for second in sorted(seconds)])
    events = [root, *reposts]
    config = settings(forecast_delay_seconds=0.001)
    whole, _ = run(events, [], config)
    cut, _ = run(events, [min(at, len(events)) for at in cuts], config)
    each, _ = run(events, range(1, len(events)), config)
    assert sorted(cut) == sorted(whole) == sorted(each)
    assert [size for *_, size, _ in whole] == sorted({sum(s <= second for s in seconds) for second in seconds})


def test_each_updated_cascade_is_forecast_within_the_delay() -> None:
    events = random_stream(3)
    made, _ = run(events, range(0, len(events), 7), settings())
    forecasts = {(cascade, as_of) for cascade, as_of, *_ in made}
    for event in events:
        if event.kind is Kind.REPOST and event.time - 1_400_000_000 < 80_000:
            assert any(
                cascade == event.cascade and event.time <= as_of < event.time + 60.001 for cascade, as_of in forecasts
            )


def test_a_forecast_sees_all_events_up_to_its_time_and_no_other() -> None:
    events = cascade_events("c", 1000.0, [10.0, 70.0, 130.0, 5000.0])
    made, _ = run(events, [], settings())
    assert [size for *_, size, _ in made] == [1, 2, 3, 4]
    for cascade, as_of, event, size, _ in made:
        seen = [e for e in events if e.kind is Kind.REPOST and e.time <= as_of]
        assert (len(seen), seen[-1].id, cascade) == (size, event, "c")


def test_every_record_meets_one_fate() -> None:
    config = settings()
    partition = Partition(0, config)
    event = cascade_events("c", 1000.0, [1.0])
    encoded = [msgspec.json.encode(e) for e in event]
    records = [
        Record(encoded[0], b"c"),
        Record(encoded[1], b"c"),
        Record(encoded[1], b"c"),
        Record(b"{", b"c"),
        Record(encoded[1], b"somebody else"),
        Record(encoded[1], None),
        Record(b"", None, watermark=2000.0),
        Record(b"", None, heartbeat=b"worker 1"),
        Record(msgspec.json.encode(replace_time(event[1], 1000.0 + 90_001.0, "late")), b"c"),
    ]
    changes = partition.apply_records(records, check_keys=True)
    assert changes.fates == {
        Fate.APPLIED: 2, Fate.DUPLICATE: 1, Fate.DEAD_LETTERED: 1, Fate.REKEYED: 2, Fate.CONTROL: 1, Fate.LATE: 1,
        Fate.HEARTBEAT: 1,
    }  # fmt: skip
    assert changes.fates.total() == len(records)
    assert [cascade for _, cascade in changes.misrouted] == ["c", "c"]
    assert (partition.watermark.value, changes.ahead) == (2000.0, 1), "one event does not move the clock by a day"


def replace_time(event: Event, time: float, id_: str) -> Event:
    return msgspec.structs.replace(event, time=time, id=id_)


def test_an_empty_value_without_the_control_header_is_a_dead_letter() -> None:
    changes = Partition(0, settings()).apply_records([Record(b"")], check_keys=True)
    assert changes.fates == {Fate.DEAD_LETTERED: 1}


def test_forecasts_that_are_not_made_are_counted_with_their_reason() -> None:
    partition = Partition(0, settings(minimum_observed=2))
    partition.apply_events(cascade_events("small", 1000.0, [1.0]))
    partition.apply_events(cascade_events("old", 1000.0, [1.0, 2.0, 86_400.0 + 200]))
    withdrawn = cascade_events("withdrawn", 1000.0, [1.0, 2.0])
    partition.apply_events(
        [*withdrawn, Event(id="u", cascade="withdrawn", kind=Kind.UNDO, time=1003.0, parent="withdrawn")]
    )
    partition.watermark.advance_to(100_000.0)
    assert [made[0] for made in drain(partition)] == ["old"]
    assert partition.skipped[Skipped.TOO_SMALL] == 1
    assert partition.skipped[Skipped.WITHDRAWN] == 1
    assert partition.skipped[Skipped.PAST_HORIZON] == 1
    assert partition.due_total == 4


def test_a_cascade_leaves_after_its_retention_but_not_before_its_forecasts_are_out() -> None:
    partition = Partition(0, settings())
    partition.apply_events(cascade_events("c", 1000.0, [10.0]))
    retention = settings().retention_seconds
    partition.watermark.advance_to(1000.0 + retention + 11)
    assert partition.apply_events(()).left == []  # c's forecast waits
    due = partition.take_due(10)
    assert [d.cascade for d in due] == ["c"]
    assert partition.apply_events(()).left == []  # taken, not yet published
    partition.published(due[0])
    assert [cascade for cascade, _ in partition.apply_events(()).left] == ["c"]
    assert partition.apply_events(cascade_events("c", 1000.0, [20.0])).fates == {Fate.LATE: 2}


def test_a_cascade_that_left_leaves_no_forecast_behind() -> None:
    """A worker that runs for weeks would remember the last ones of tens of thousands of posts that are gone."""
    partition = Partition(0, settings())
    start = 1_700_000_000.0
    partition.apply_events(cascade_events("c", start, [10.0]))
    partition.watermark.advance_to(start + 100.0)
    (due,) = partition.take_due(10)
    partition.tell_alerts({(due.cascade, due.as_of): forecast_of(due, 80.0)})
    partition.published(due)
    assert partition._last_forecasts.get("c") is not None
    partition.watermark.advance_to(start + settings().retention_seconds + 11)
    assert [cascade for cascade, _ in partition.apply_events(()).left] == ["c"]
    assert partition._last_forecasts.get("c") is None


def test_unforecast_since_is_the_oldest_forecast_not_yet_out() -> None:
    partition = Partition(0, settings(minimum_observed=0))
    assert partition.unforecast_since() == -math.inf
    partition.apply_events(cascade_events("c", 1000.0, [10.0, 100.0, 200.0]))
    partition.watermark.advance_to(1200.0)
    first = partition.schedule.next_as_of()
    assert partition.unforecast_since() == first
    due = partition.take_due(1)
    assert partition.unforecast_since() == due[0].as_of
    partition.published(due[0])
    assert partition.unforecast_since() == partition.schedule.next_as_of() > first


def test_blends_learn_from_what_is_kept_where_there_is_time_to_ask_every_expert() -> None:
    partition = Partition(0, settings(score_ages_seconds=(60, 600)))
    partition.apply_events(cascade_events("c", 1000.0, [70.0, 80.0, 700.0]))
    partition.watermark.advance_to(1500.0)
    dues = partition.take_due(10)
    assert sum(due.keep for due in dues) == 1
    assert [due.teach for due in dues] == [due.keep for due in dues]
    partition.watermark.advance_to(3000.0)
    dues = partition.take_due(10, teach=False)
    assert sum(due.keep for due in dues) == 1
    assert not any(due.teach for due in dues)


def test_overload_supersedes_and_counts() -> None:
    partition = Partition(0, settings())
    partition.apply_events(cascade_events("c", 1000.0, [60.0 * n for n in range(1, 11)]))
    partition.watermark.advance_to(10_000.0)
    due = partition.take_due(10, overloaded=True)
    assert len(due) == 1
    assert due[0].view.size == 10
    assert partition.skipped[Skipped.SUPERSEDED] + len(due) == partition.due_total >= 10


def forecast_of(due: Due, expected: float) -> ForecastRecord:
    return ForecastRecord(
        id="", cascade=due.cascade, as_of=due.as_of, age_seconds=due.view.age_seconds, observed=due.view.size,
        horizon_seconds=86_400.0, model="doubling", model_version="1", expected=expected, low=0.0, high=2.0 * expected,
        level=0.8, trajectory=[], growth_per_hour=0.0, event=due.event,
    )  # fmt: skip


def test_under_overload_the_order_is_told_how_each_post_stands() -> None:
    """How long it waits, its size now and at its last forecast, and what that was; and at which sizes rules decide."""
    now = 50.0
    asked: dict[str, Claim] = {}

    def order(claims: Sequence[Claim], limit: int, within_seconds: float, levels: Sequence[float]) -> list[str]:
        assert list(levels) == [100.0]
        asked.update({claim.cascade: claim for claim in claims})
        return [claim.cascade for claim in claims][:limit]

    rules = RuleBook(RuleSet((Rule("large", (Condition(Quantity.EXPECTED, 100.0, None),)),)))
    partition = Partition(0, settings(), rules, clock=lambda: now, order=order)
    start = 1_700_000_000.0
    partition.apply_events(
        [event for name in ("near", "far") for event in cascade_events(name, start, [1.0, 2.0, 3.0])]
    )
    partition.watermark.advance_to(start + 100.0)
    dues = partition.take_due(10)
    assert {due.cascade for due in dues} == {"near", "far"}
    expected = {"near": 80.0, "far": 10.0}
    partition.tell_alerts({(due.cascade, due.as_of): forecast_of(due, expected[due.cascade]) for due in dues})
    for due in dues:
        partition.published(due)
    partition.apply_events(cascade_events("far", start, [1.0, 2.0, 3.0, *[200.0] * 4])[4:])
    partition.apply_events(cascade_events("near", start, [1.0, 2.0, 3.0, 200.0])[4:])
    partition.watermark.advance_to(start + 400.0)
    assert partition.backlog() == 2
    now = 53.0
    assert [due.cascade for due in partition.take_due(1, overloaded=True)] == [next(iter(asked))]
    assert asked["near"] == Claim("near", 3.0, 4, 3, 80.0, has_alert=False)
    assert asked["far"] == Claim("far", 3.0, 7, 3, 10.0, has_alert=False)
