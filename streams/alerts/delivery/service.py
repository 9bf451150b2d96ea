"""``cascadecast alerts deliver``: an intake, a courier and a sender for each target; they share but the process."""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import structlog

from graph.errors import UserError
from streams.alerts.delivery.courier import Courier
from streams.alerts.delivery.dead_letter_box import KafkaDeadLetterBox
from streams.alerts.delivery.intake import Intake
from streams.alerts.delivery.metrics import DeliveryMetrics
from streams.alerts.delivery.pages import serving
from streams.alerts.delivery.sender import Sender
from streams.alerts.delivery.senders import new_sender
from streams.alerts.delivery.targets_file import NamedTarget, TargetsFile
from streams.kafka.clients import connect
from streams.kafka.topics import TopicsError, create_command
from streams.settings import Settings
from streams.supervision import systemd

log = structlog.get_logger("cascadecast.delivery")

EXIT_STOPPED: Final = 0
EXIT_FAULT: Final = 70
"""EX_SOFTWARE: something that must not happen. A supervisor restarts the process, which goes on where it was."""
EXIT_UNFINISHED: Final = 75
"""EX_TEMPFAIL: told to stop while a request did not end in time; its record is delivered again at the next start."""

SILENT_SECONDS: Final = 60.0
"""After which a target whose topic is not read counts as not ready."""

SUPERVISOR_SECONDS: Final = 10.0


def alert_partitions(settings: Settings) -> int:
    """How many partitions the alerts topic has.

    Raises `KafkaUnreachableError`, `KafkaRefusedError`, or `TopicsError` naming the topic that is missing."""
    _, metadata = connect(settings.bootstrap_servers, settings.kafka_security())
    for name in ("alerts", "dead-letters"):
        topic = f"{settings.topic_prefix}.{name}"
        if topic not in metadata.topics:
            raise TopicsError(f"{settings.bootstrap_servers} lacks {topic}: {create_command(settings.topic_prefix)}")
    return len(metadata.topics[f"{settings.topic_prefix}.alerts"].partitions)


async def deliver(settings: Settings, file: Path, targets: TargetsFile, http_port: int) -> int:
    """Deliver until SIGTERM or SIGINT; the exit code. Raises UserError for what is the operator's to mend."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    metrics = DeliveryMetrics()
    async with AsyncExitStack() as stack:
        box = await stack.enter_async_context(KafkaDeadLetterBox(settings))
        routes = []
        for named in targets.targets:
            sender = await stack.enter_async_context(new_sender(named, targets.links, metrics.of(named.name), file))
            routes.append(_Route(named, settings, sender, box, metrics))

        def readiness() -> dict[str, Any]:
            return {route.name: route.readiness() for route in routes}

        await stack.enter_async_context(
            serving(settings.http_host, http_port, settings.http_secret(), metrics, readiness)
        )
        log.info("delivering", targets=[route.name for route in routes], http_port=http_port)
        return await _run(routes, stop)


class _Route:
    """All that one target needs."""

    def __init__(
        self,
        named: NamedTarget,
        settings: Settings,
        sender: Sender,
        box: KafkaDeadLetterBox,
        metrics: DeliveryMetrics,
    ) -> None:
        self.name = named.name
        own = metrics.of(named.name)
        self.sender = sender
        self.courier = Courier(named.name, named.target, sender, box, own)
        self.intake = Intake(named, settings, sender, self.courier, box, own)

    def readiness(self) -> dict[str, Any]:
        """Whether its partitions are assigned and read."""
        silent = time.monotonic() - self.intake.last_round
        return {"ready": self.intake.is_ready and silent < SILENT_SECONDS, "silent_seconds": round(silent, 1)}


async def _run(routes: list[_Route], stop: asyncio.Event) -> int:
    """Until told to stop, or until anything fails that must not."""
    helpers = [asyncio.create_task(route.sender.run()) for route in routes]
    helpers += [asyncio.create_task(route.courier.run()) for route in routes]
    helpers.append(asyncio.create_task(_tell_the_supervisor()))
    intakes = [asyncio.create_task(route.intake.run(stop)) for route in routes]
    try:
        pending: set[asyncio.Task[Any]] = {*helpers, *intakes}
        while not all(intake.done() for intake in intakes):
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # raises
    except UserError:
        raise
    except Exception:
        log.exception("delivering failed; to be restarted")
        return EXIT_FAULT
    finally:
        stop.set()
        for task in (*helpers, *intakes):
            task.cancel()
        await asyncio.gather(*helpers, *intakes, return_exceptions=True)
    ended = all(intake.result() for intake in intakes)
    log.info("stopped", requests_ended=ended)
    return EXIT_STOPPED if ended else EXIT_UNFINISHED


async def _tell_the_supervisor() -> None:
    systemd.notify("READY=1")
    while True:
        systemd.notify("WATCHDOG=1")
        await asyncio.sleep(SUPERVISOR_SECONDS)
