"""One target's deliveries: in order for each post, until taken or given up; nothing is lost, all is counted."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.alerts.delivery.courier import MAX_WAITING, Courier
from streams.alerts.delivery.dead_letter_box import Undeliverable
from streams.alerts.delivery.metrics import DeliveryMetrics, Fate
from streams.alerts.delivery.notices import Notice, Original
from streams.alerts.delivery.pace import Pace, back_off_seconds
from streams.alerts.delivery.posting import Poster, Request, SendError, Trouble
from streams.alerts.delivery.sender import Sender
from streams.alerts.delivery.targets import WebhookTarget
from streams.alerts.records import AlertRecord, AlertState, Severity
from tests.streams.alerts.delivery.records import alert_record, notice

AWAY = SendError(Trouble.CONNECTION, "away")
REFUSED = SendError(Trouble.REFUSED, "HTTP 400", final=True)


class Told(Sender):
    """Takes what it is told to take, and remembers it."""

    def __init__(self, target: WebhookTarget, react: Callable[[AlertRecord], SendError | None]) -> None:
        super().__init__(Poster(target, [], lambda status: False))
        self._react = react
        self.tried: list[AlertRecord] = []
        self.taken: list[AlertRecord] = []
        self.at_once = 0
        self.most_at_once = 0

    def requests(self, notice: Notice, now: float) -> list[Request]:
        return []

    async def send(self, notice: Notice) -> None:
        self.tried.append(notice.record)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        error = self._react(notice.record)
        if error is not None:
            raise error.copy()
        self.taken.append(notice.record)


class Box:
    """The dead letters."""

    def __init__(self) -> None:
        self.letters: list[tuple[str, int, Undeliverable, str]] = []

    async def put(self, target: str, original: Original, reason: Undeliverable, message: str) -> None:
        self.letters.append((target, original.offset, reason, message))


class Rig:
    """A courier with all that is around it."""

    def __init__(self, react: Callable[[AlertRecord], SendError | None] = lambda record: None, **changes: Any) -> None:
        options = {"retry_seconds": 0.001, "retry_max_seconds": 0.01, **changes}
        self.target = WebhookTarget(type="webhook", url="http://h/", **options)
        self.sender = Told(self.target, react)
        self.box = Box()
        self.all_metrics = DeliveryMetrics()
        self.metrics = self.all_metrics.of("a")
        self.now = time.time()
        self.courier = Courier(
            "a", self.target, self.sender, self.box, self.metrics, lambda: self.now, random.Random(1)
        )
        self.done: list[int] = []
        self.read = 0
        self.courier.on_done = lambda notice: self.done.append(notice.offset)

    def accept(self, *records: AlertRecord, published: float | None = None) -> None:
        for record in records:
            self.courier.accept(notice(record, offset=self.read, published=published or self.now))
            self.read += 1

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.courier.run())
        await asyncio.sleep(0)
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def settle(self) -> None:
        """Wait until every record has met its fate."""
        async with asyncio.timeout(20):
            while len(self.done) < self.read:
                await asyncio.sleep(0.001)

    def fates(self) -> dict[str, int]:
        samples = next(iter(self.all_metrics.records.collect())).samples
        return {one.labels["fate"]: int(one.value) for one in samples if one.name.endswith("_total") and one.value}


STORY = [alert_record(state, after=after) for after, state in enumerate(AlertState)]


async def test_what_is_read_is_delivered_in_order() -> None:
    rig = Rig()
    async with rig.running():
        rig.accept(*STORY)
        await rig.settle()
    assert rig.sender.taken == STORY
    assert rig.fates() == {"delivered": 3}


async def test_a_failed_try_is_repeated_and_later_records_of_the_post_wait_for_it() -> None:
    failures = iter([AWAY, AWAY, AWAY])
    rig = Rig(lambda record: next(failures, None))
    async with rig.running():
        rig.accept(*STORY)
        await rig.settle()
    assert rig.sender.tried == [STORY[0]] * 4 + STORY[1:]
    assert rig.sender.taken == STORY


async def test_records_of_other_posts_go_on_meanwhile() -> None:
    away = [True]
    rig = Rig(lambda record: AWAY if record.cascade == "stuck" and away[0] else None)
    async with rig.running():
        rig.accept(alert_record(cascade="stuck"), *(alert_record(cascade=f"c{n}") for n in range(20)))
        async with asyncio.timeout(10):
            while len(rig.sender.taken) < 20:
                await asyncio.sleep(0.001)
        away[0] = False
        await rig.settle()
    assert rig.sender.taken[-1].cascade == "stuck"
    assert rig.sender.most_at_once <= rig.target.at_once


async def test_what_is_refused_is_a_dead_letter_at_once() -> None:
    rig = Rig(lambda record: REFUSED)
    async with rig.running():
        rig.accept(STORY[0])
        await rig.settle()
    assert len(rig.sender.tried) == 1
    assert rig.box.letters == [("a", 0, Undeliverable.REFUSED, "HTTP 400")]
    assert rig.fates() == {"dead-lettered": 1}


async def test_a_record_is_given_up_after_so_many_tries() -> None:
    rig = Rig(lambda record: AWAY, max_tries=3)
    async with rig.running():
        rig.accept(STORY[0])
        await rig.settle()
    assert len(rig.sender.tried) == 3
    ((_, _, reason, message),) = rig.box.letters
    assert reason is Undeliverable.GIVEN_UP
    assert message.startswith("3 tries in 0 s: away")


async def test_a_record_is_given_up_after_so_long() -> None:
    rig = Rig(lambda record: AWAY, give_up_seconds=0.05)
    async with rig.running():
        rig.accept(STORY[0])
        await rig.settle()
    assert [reason for _, _, reason, _ in rig.box.letters] == [Undeliverable.GIVEN_UP]
    assert len(rig.sender.tried) > 1


async def test_old_news_are_not_told_but_what_is_over_is() -> None:
    rig = Rig(max_age_seconds=3600.0)
    async with rig.running():
        rig.accept(*STORY, published=rig.now - 3601)
        await rig.settle()
    assert rig.sender.taken == [STORY[2]]
    assert [(offset, reason) for _, offset, reason, _ in rig.box.letters] == [
        (0, Undeliverable.TOO_OLD),
        (1, Undeliverable.TOO_OLD),
    ]


async def test_event_time_does_not_matter_for_what_is_old() -> None:
    """A replay of years ago comes to Kafka now."""
    rig = Rig()
    async with rig.running():
        rig.accept(alert_record(opened_as_of=1.0e9))
        await rig.settle()
    assert rig.fates() == {"delivered": 1}


async def test_of_what_waits_for_an_alert_the_newest_is_told() -> None:
    failures = iter([AWAY] * 3)
    rig = Rig(lambda record: next(failures, None), collapse=True)
    async with rig.running():
        rig.accept(*STORY, alert_record(cascade="another"))
        await rig.settle()
    assert [record for record in rig.sender.taken if record.cascade == "post-1"] == [STORY[2]]
    assert rig.fates() == {"delivered": 2, "collapsed": 2}


async def test_nothing_is_collapsed_into_a_record_that_is_not_wanted() -> None:
    rig = Rig(collapse=True, states=(AlertState.OPENED, AlertState.RESOLVED))
    async with rig.running():
        rig.accept(STORY[0], STORY[1])
        await rig.settle()
    assert rig.sender.taken == [STORY[0]]
    assert rig.fates() == {"delivered": 1, "filtered": 1}


async def test_nobody_is_told_that_an_alert_is_open_when_it_is_known_to_be_over() -> None:
    rig = Rig(collapse=True, states=(AlertState.OPENED,))
    async with rig.running():
        rig.accept(STORY[0], STORY[2])
        await rig.settle()
    assert rig.sender.taken == []
    assert rig.fates() == {"collapsed": 1, "filtered": 1}


async def test_a_repeat_is_told_once_whether_it_waits_or_was_told() -> None:
    rig = Rig()
    async with rig.running():
        rig.accept(STORY[0], STORY[0])
        await rig.settle()
        rig.accept(STORY[0])
        await rig.settle()
    assert rig.sender.taken == [STORY[0]]
    assert rig.fates() == {"delivered": 1, "duplicate": 2}


async def test_a_record_that_was_given_up_is_tried_when_it_comes_again() -> None:
    answers = iter([REFUSED])
    rig = Rig(lambda record: next(answers, None))
    async with rig.running():
        rig.accept(STORY[0])
        await rig.settle()
        rig.accept(STORY[0])
        await rig.settle()
    assert rig.sender.taken == [STORY[0]]


async def test_what_a_target_does_not_want_is_passed_over() -> None:
    rig = Rig(severities=(Severity.CRITICAL,), rules=("GoesViral",), states=(AlertState.OPENED,))
    wanted = alert_record(severity=Severity.CRITICAL)
    async with rig.running():
        rig.accept(
            wanted, alert_record(cascade="b"), alert_record(cascade="c", severity=Severity.CRITICAL, rule="Other"),
            alert_record(AlertState.UPDATED, cascade="d", severity=Severity.CRITICAL),
        )  # fmt: skip
        await rig.settle()
    assert rig.sender.taken == [wanted]
    assert rig.fates() == {"delivered": 1, "filtered": 3}


async def test_a_partition_that_is_let_go_is_delivered_no_further() -> None:
    rig = Rig(lambda record: AWAY)
    async with rig.running():
        rig.accept(*STORY)
        await asyncio.sleep(0.01)
        assert rig.courier.room == MAX_WAITING - 3
        assert await rig.courier.release([0], 1.0)
        assert rig.courier.room == MAX_WAITING
        tried = len(rig.sender.tried)
        await asyncio.sleep(0.05)
    assert len(rig.sender.tried) == tried
    assert rig.done == []
    assert rig.fates() == {"let-go": 3}


async def test_what_must_not_happen_ends_the_courier() -> None:
    def fail(record: AlertRecord) -> SendError | None:
        raise RuntimeError("a bug")

    rig = Rig(fail)
    running = asyncio.create_task(rig.courier.run())
    await asyncio.sleep(0)
    rig.accept(STORY[0])
    with pytest.raises(RuntimeError, match="a bug"):
        await asyncio.wait_for(running, 5)
    assert rig.done == []


@settings(max_examples=30)
@given(st.data())
def test_whatever_fails_every_record_meets_one_fate_and_posts_stay_in_order(data: st.DataObject) -> None:
    answers = data.draw(st.lists(st.sampled_from([None, None, AWAY, REFUSED]), max_size=40))
    posts = data.draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=20))
    records = [alert_record(AlertState.UPDATED, cascade=post, after=float(at)) for at, post in enumerate(posts)]

    async def run() -> Rig:
        left = iter(answers)
        rig = Rig(lambda record: next(left, None), retry_seconds=0.0001, collapse=data.draw(st.booleans()))
        async with rig.running():
            rig.accept(*records)
            await rig.settle()
        return rig

    rig = asyncio.run(run())
    assert sorted(rig.done) == list(range(len(records)))
    assert sum(rig.fates().values()) == len(records)
    assert rig.fates().get(Fate.DELIVERED.value, 0) == len(rig.sender.taken)
    for post in "abc":
        times = [record.as_of for record in rig.sender.taken if record.cascade == post]
        assert times == sorted(times)


# --- pace


async def test_requests_start_so_far_apart() -> None:
    pace = Pace(at_once=4, interval_seconds=0.03)
    starts = []

    async def ask() -> None:
        async with pace.turn():
            starts.append(asyncio.get_running_loop().time())

    await asyncio.gather(*(ask() for _ in range(4)))
    assert all(second - first >= 0.029 for first, second in pairwise(starts))


async def test_a_target_that_asks_for_a_pause_is_left_alone_by_all() -> None:
    pace = Pace(at_once=4, interval_seconds=0.0)
    loop = asyncio.get_running_loop()
    began = loop.time()
    pace.hold(0.1)
    async with pace.turn():
        assert loop.time() - began >= 0.099


@given(st.integers(1, 10_000), st.randoms(use_true_random=False))
def test_the_pause_before_a_try_doubles_up_to_a_bound(failures: int, chance: random.Random) -> None:
    target = WebhookTarget(type="webhook", url="http://h/")
    whole = min(60.0, 2.0 ** min(failures - 1, 100))
    assert whole / 2 <= back_off_seconds(target, failures, chance) <= whole


async def test_a_pause_that_the_target_asks_for_holds_for_all_its_requests() -> None:
    throttled = iter([SendError(Trouble.THROTTLED, "HTTP 429", retry_after_seconds=0.3)])
    rig = Rig(lambda record: next(throttled, None), at_once=1)
    loop = asyncio.get_running_loop()
    async with rig.running():
        began = loop.time()
        rig.accept(STORY[0], alert_record(cascade="another"))
        await rig.settle()
    assert loop.time() - began >= 0.29
    assert len(rig.sender.tried) == 3
