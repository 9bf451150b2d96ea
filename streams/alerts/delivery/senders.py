"""Makes the sender of each kind of target."""

from __future__ import annotations

import time
from pathlib import Path

from streams.alerts.delivery.alertmanager import AlertmanagerSender
from streams.alerts.delivery.links import Links
from streams.alerts.delivery.metrics import TargetMetrics
from streams.alerts.delivery.sender import Sender
from streams.alerts.delivery.slack import SlackSender
from streams.alerts.delivery.targets import AlertmanagerTarget, SlackTarget, WebhookTarget
from streams.alerts.delivery.targets_file import NamedTarget, TargetsError
from streams.alerts.delivery.wall_clock import WallClock
from streams.alerts.delivery.webhook import WebhookSender


def new_sender(
    named: NamedTarget, links: Links, metrics: TargetMetrics, file: Path, clock: WallClock = time.time
) -> Sender:
    """Raises TargetsError naming the ``file`` and the target whose secrets or authority cannot be used."""
    try:
        match named.target:
            case AlertmanagerTarget() as target:
                return AlertmanagerSender(named.name, target, named.secrets, links, clock, metrics)
            case WebhookTarget() as target:
                return WebhookSender(target, named.secrets, links, clock)
            case SlackTarget() as target:
                return SlackSender(target, named.secrets, links, clock)
    except TargetsError as error:
        raise TargetsError(f"{file}: targets.{named.name}.{error}") from None
    raise AssertionError(f"{type(named.target).__name__} has no sender")
