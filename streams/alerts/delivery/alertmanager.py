"""Alertmanagers: told what is open, again and again while it is, and what is resolved."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass
from typing import Any

import msgspec
import structlog

from streams.alerts.delivery import alertmanager_alerts
from streams.alerts.delivery.alertmanager_replica import Replica, first_to_take
from streams.alerts.delivery.links import Links
from streams.alerts.delivery.metrics import TargetMetrics
from streams.alerts.delivery.notices import Notice
from streams.alerts.delivery.posting import Poster, Request
from streams.alerts.delivery.sender import Sender
from streams.alerts.delivery.targets import AlertmanagerTarget
from streams.alerts.delivery.wall_clock import WallClock
from streams.alerts.records import AlertState

log = structlog.get_logger("cascadecast.delivery")


def blames_the_record(status: int) -> bool:
    """Whether an alert itself was refused. A wrong password or address is the operator's to mend, and waited for."""
    return status in (400, 413, 422)


@dataclass(slots=True)
class _Known:
    """The newest record of an alert."""

    notice: Notice
    heard: float  # wall time


class AlertmanagerSender(Sender):
    """Keeps the newest record of every open alert, and sends it until it is resolved.

    A resolved one is sent again for as long as an Alertmanager that missed it may still hold the alert open.
    """

    def __init__(
        self,
        name: str,
        target: AlertmanagerTarget,
        secrets: dict[str, str],
        links: Links,
        clock: WallClock,
        metrics: TargetMetrics,
    ) -> None:
        self._name = name
        self._target = target
        self._links = links
        self._clock = clock
        self._metrics = metrics
        super().__init__(Poster(target, secrets.values(), blames_the_record))
        self._known: dict[str, _Known] = {}
        headers = _authorization(target, secrets)
        self._replicas = [Replica(url, self._poster, headers, self._state) for url in target.urls]
        self._headers = headers
        self._caught_up = asyncio.Event()

    @property
    def hears_all(self) -> bool:
        """A new Alertmanager is to show all that is open."""
        return True

    def heard(self, notice: Notice, *, again: bool) -> None:
        """Keep the newest record of each alert; a repeat after a worker's crash is older and changes nothing."""
        record = notice.record
        known = self._known.get(record.alert)
        if known is not None and _is_newer(known.notice, notice):
            return
        self._known[record.alert] = _Known(notice, self._clock())
        if again and record.state is AlertState.RESOLVED:
            del self._known[record.alert]

    def caught_up(self) -> None:
        """From now on what is known is what is: it may be sent again."""
        self._caught_up.set()

    def forget(self, partition: int) -> None:
        """Another process sends these again."""
        self._known = {alert: one for alert, one in self._known.items() if one.notice.partition != partition}

    def keep_from(self, partition: int) -> int | None:
        """The earliest of the newest records of the partition's open alerts."""
        return min(
            (one.notice.offset for one in self._known.values() if one.notice.partition == partition and _is_open(one)),
            default=None,
        )

    def requests(self, notice: Notice, now: float) -> list[Request]:
        """The same request for every Alertmanager of the cluster."""
        body = msgspec.json.encode([self._alert(notice, now)])
        return [Request(replica.url, replica.url, body, self._headers) for replica in self._replicas]

    async def send(self, notice: Notice) -> None:
        """Returns once one Alertmanager has taken this record or a newer one of its alert."""
        await first_to_take([replica.submit(notice.record.alert) for replica in self._replicas])

    async def run(self) -> None:
        """Send all that is open again and again. Not before all that Kafka holds is known: it may be resolved there."""
        async with asyncio.TaskGroup() as tasks:
            for replica in self._replicas:
                tasks.create_task(replica.run())
            while True:
                await self._caught_up.wait()
                self._forget_what_is_over()
                for replica in self._replicas:
                    replica.remind(self._known)
                self._metrics.resent.inc(len(self._known))
                self._metrics.open.set(sum(map(_is_open, self._known.values())))
                await asyncio.sleep(self._target.resend_seconds)

    def _forget_what_is_over(self) -> None:
        now = self._clock()
        for alert, one in list(self._known.items()):
            if not _is_open(one):
                if now - one.heard > self._target.expire_seconds:
                    del self._known[alert]
            elif now - one.notice.published > self._target.forget_seconds:
                del self._known[alert]
                self._metrics.forgotten.inc()
                log.warning(
                    "an alert was never resolved and is not sent again",
                    target=self._name,
                    alert=alert,
                    silent_seconds=round(now - one.notice.published),
                )

    def _state(self, alert: str) -> Any:
        known = self._known.get(alert)
        return None if known is None else self._alert(known.notice, self._clock())

    def _alert(self, notice: Notice, now: float) -> dict[str, Any]:
        record = notice.record
        link = self._links.link(record.cascade, record.source)
        return alertmanager_alerts.alert(notice, link, now, self._target.expire_seconds)


def _is_open(known: _Known) -> bool:
    return known.notice.record.state is not AlertState.RESOLVED


def _is_newer(one: Notice, other: Notice) -> bool:
    """Whether ``one`` tells of a later time of the alert than ``other``; what is resolved stays so."""
    resolved = one.record.state is AlertState.RESOLVED
    return (one.record.as_of, resolved) > (other.record.as_of, other.record.state is AlertState.RESOLVED)


def _authorization(target: AlertmanagerTarget, secrets: dict[str, str]) -> dict[str, str]:
    if target.username is not None:
        pair = base64.b64encode(f"{target.username}:{secrets['password']}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}
    return {"Authorization": f"Bearer {secrets['bearer']}"} if "bearer" in secrets else {}
