"""Try the targets without Kafka: one marked alert to each, and what came of it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from streams.alerts.delivery.metrics import DeliveryMetrics
from streams.alerts.delivery.notices import Notice, Original
from streams.alerts.delivery.posting import SendError
from streams.alerts.delivery.senders import new_sender
from streams.alerts.delivery.targets import AlertmanagerTarget
from streams.alerts.delivery.targets_file import NamedTarget, TargetsFile
from streams.alerts.records import AlertRecord, AlertState, Severity, alert_id, alert_key

TEST_RULE: Final = "CascadecastTest"

_REASON: Final = "This is a test of the delivery of alerts; there is no such post and nothing is to be done."


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a target's test. ``failure`` is None where it was taken."""

    target: str
    type: str
    failure: str | None
    seconds: float


def test_notice(now: float) -> Notice:
    """An alert that no one can take for a real one: as of ``now``, seconds of wall time.

    A warning: information is often routed to nobody, and a test is to be seen.
    """
    alert = alert_key(TEST_RULE, "test", now)
    record = AlertRecord(
        id=alert_id(alert, AlertState.OPENED, now), cascade="test", rule=TEST_RULE, state=AlertState.OPENED, as_of=now,
        age_seconds=0.0, observed=0, expected=0.0, low=0.0, high=0.0, reason=_REASON, alert=alert, opened_as_of=now,
        severity=Severity.WARNING, horizon_seconds=86_400.0, model="none", model_version="0", source=None, lang=None,
        followers=None, labels={"test": "true"},
    )  # fmt: skip
    return Notice(record, Original(0, 0, now, None, b""))


async def try_targets(targets: TargetsFile, file: Path) -> list[Verdict]:
    """Send the test alert to every target at once, once each. Raises TargetsError for what cannot be used at all."""
    metrics = DeliveryMetrics()
    every = [one for named in targets.targets for one in _each_address(named)]
    return list(await asyncio.gather(*(_try(named, targets, file, metrics) for named in every)))


def _each_address(named: NamedTarget) -> list[NamedTarget]:
    """Every Alertmanager of a cluster for itself: one that takes alerts must not hide one that does not."""
    target = named.target
    if not isinstance(target, AlertmanagerTarget) or len(target.urls) == 1:
        return [named]
    return [
        NamedTarget(f"{named.name} {url}", target.model_copy(update={"urls": (url,)}), named.secrets)
        for url in target.urls
    ]


async def _try(named: NamedTarget, targets: TargetsFile, file: Path, metrics: DeliveryMetrics) -> Verdict:
    began = time.monotonic()
    notice = test_notice(time.time())
    failure: str | None = None
    async with new_sender(named, targets.links, metrics.of(named.name), file) as sender:
        working = asyncio.create_task(sender.run())
        sender.heard(notice, again=False)
        try:
            await sender.send(notice)
        except SendError as error:
            failure = str(error)
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
    return Verdict(named.name, named.target.type, failure, time.monotonic() - began)
