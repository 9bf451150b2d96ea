"""Alertmanagers are told again and again what is open, and what is resolved; one that is away stops no other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from streams.alerts.delivery.alertmanager import AlertmanagerSender
from streams.alerts.delivery.links import Links
from streams.alerts.delivery.metrics import DeliveryMetrics
from streams.alerts.delivery.posting import SendError
from streams.alerts.delivery.targets import AlertmanagerTarget
from streams.alerts.records import AlertState
from tests.streams.alerts.delivery.http_service import HttpService, http_service
from tests.streams.alerts.delivery.records import OPENED_AS_OF, alert_record, notice

AWAY = "http://127.0.0.1:1/"


class Clock:
    def __init__(self) -> None:
        self.now = OPENED_AS_OF + 1

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def telling(
    *urls: str, clock: Callable[[], float] | None = None, secrets: dict[str, str] | None = None, **changes: Any
) -> AsyncIterator[AlertmanagerSender]:
    target = AlertmanagerTarget(type="alertmanager", urls=urls, **{"timeout_seconds": 2.0, **changes})
    metrics = DeliveryMetrics().of("a")
    sender = AlertmanagerSender("a", target, secrets or {}, Links(), clock or Clock(), metrics)
    async with sender:
        running = asyncio.create_task(sender.run())
        yield sender
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def told(service: HttpService) -> list[tuple[str, bool]]:
    """Posts of the alerts that came, and whether they were open."""
    return [
        (alert["labels"]["cascade"], alert["endsAt"] > "2023-11-14T22:15")
        for taken in service.taken
        for alert in msgspec.json.decode(taken.body)
    ]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


async def tell(sender: AlertmanagerSender, state: AlertState, after: float = 0.0, cascade: str = "p") -> None:
    one = notice(alert_record(state, cascade=cascade, after=after))
    sender.heard(one, again=False)
    await sender.send(one)


async def test_an_open_alert_is_sent_again_until_it_is_resolved_and_then_for_as_long_as_it_may_be_held() -> None:
    clock = Clock()
    async with http_service() as service, telling(service.url, clock=clock, resend_seconds=0.1) as sender:
        sender.caught_up()
        await tell(sender, AlertState.OPENED)
        await until(lambda: len(service.taken) >= 2)
        await tell(sender, AlertState.RESOLVED, 1.0)
        count = len(service.taken)
        await until(lambda: len(service.taken) > count)
        assert told(service)[-1] == ("p", False)
        assert service.taken[-1].path == "/api/v2/alerts"
        clock.now += 301
        await asyncio.sleep(0.15)
        count = len(service.taken)
        await asyncio.sleep(0.15)
        assert len(service.taken) == count


async def test_all_of_a_cluster_are_told_and_one_that_is_away_holds_up_none() -> None:
    async with http_service() as one, http_service() as two, telling(one.url, AWAY, two.url) as sender:
        await tell(sender, AlertState.OPENED)
        await until(lambda: told(one) == told(two) == [("p", True)])


async def test_when_none_takes_it_the_try_has_failed_and_may_be_repeated() -> None:
    async with http_service() as service, telling(service.url, AWAY) as sender:
        service.statuses = [503]
        with pytest.raises(SendError, match="HTTP 503") as failed:
            await tell(sender, AlertState.OPENED)
        assert not failed.value.final
        await tell(sender, AlertState.OPENED)


async def test_a_bad_alert_is_told_from_the_good_ones_of_its_request() -> None:
    async with http_service() as service, telling(service.url) as sender:
        service.statuses = [400, 200, 400, 200]
        results = await asyncio.gather(
            *(tell(sender, AlertState.OPENED, cascade=name) for name in "abc"), return_exceptions=True
        )
    assert [len(msgspec.json.decode(taken.body)) for taken in service.taken] == [3, 1, 1, 1]
    assert [isinstance(one, SendError) and one.final for one in results] == [False, True, False]


async def test_nothing_is_sent_again_before_all_is_known() -> None:
    """What is open by the records read so far may be resolved by those to come."""
    async with http_service() as service, telling(service.url, resend_seconds=0.1) as sender:
        sender.heard(notice(alert_record(cascade="p")), again=True)
        sender.heard(notice(alert_record(cascade="q")), again=True)
        await asyncio.sleep(0.2)
        assert not service.taken
        sender.heard(notice(alert_record(AlertState.RESOLVED, cascade="p", after=1.0)), again=True)
        sender.caught_up()
        await until(lambda: bool(service.taken))
        assert told(service) == [("q", True)]


async def test_a_repeat_of_older_records_does_not_open_what_is_resolved() -> None:
    async with http_service() as service, telling(service.url) as sender:
        await tell(sender, AlertState.RESOLVED, 1.0)
        await tell(sender, AlertState.OPENED)
        assert [is_open for _, is_open in told(service)] == [False, False]


async def test_what_must_be_heard_again_is_the_newest_record_of_each_open_alert() -> None:
    async with telling(AWAY) as sender:
        assert sender.keep_from(0) is None
        for offset, (state, cascade, after) in enumerate(
            [
                (AlertState.OPENED, "p", 0.0),
                (AlertState.OPENED, "q", 0.0),
                (AlertState.UPDATED, "p", 1.0),
                (AlertState.RESOLVED, "q", 2.0),
            ]
        ):
            sender.heard(notice(alert_record(state, cascade=cascade, after=after), offset=offset), again=False)
        assert (sender.keep_from(0), sender.keep_from(1)) == (2, None)
        sender.forget(0)
        assert sender.keep_from(0) is None


async def test_an_alert_that_nobody_resolved_is_forgotten() -> None:
    clock = Clock()
    async with http_service() as service, telling(service.url, clock=clock, forget_seconds=3600) as sender:
        await tell(sender, AlertState.OPENED)
        clock.now += 3601
        count = len(service.taken)
        sender.caught_up()
        await asyncio.sleep(0.1)
        assert len(service.taken) == count
        assert sender.keep_from(0) is None


@pytest.mark.parametrize(
    ("secrets", "options", "header"),
    [
        ({"password": "open sesame"}, {"username": "me", "password_env": "P"}, "Basic bWU6b3BlbiBzZXNhbWU="),
        ({"bearer": "t0ken"}, {"bearer_env": "B"}, "Bearer t0ken"),
    ],
)
async def test_who_we_are_is_said(secrets: dict[str, str], options: dict[str, str], header: str) -> None:
    async with http_service() as service, telling(service.url, secrets=secrets, **options) as sender:
        await tell(sender, AlertState.OPENED)
    assert service.taken[0].headers["Authorization"] == header
