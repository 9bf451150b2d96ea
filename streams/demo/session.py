"""One demo from start to end: Kafka, topics, workers and stream come up, are watched, and go down in order."""

from __future__ import annotations

import math
import secrets
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from streams.alerts.records import AlertRecord, AlertState
from streams.broker import EmbeddedBroker
from streams.demo.board import Board
from streams.demo.departure import Departure, Leave
from streams.demo.display import Display
from streams.demo.feed import Feed
from streams.demo.intake import Intake
from streams.demo.live_view import Vitals
from streams.demo.rate import Rate
from streams.demo.topics import remove_topics
from streams.demo.workers import PulseReader, WorkerPlan, WorkerProcess, end_of_log
from streams.kafka.security import PLAINTEXT, KafkaSecurity
from streams.kafka.topics import DEFAULT_PREFIX, create_topics, declared_topics

POLL_SECONDS: Final = 0.1


class DemoError(Exception):
    """A part of the demo ended by itself; the message holds its last words."""


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """What to run."""

    feed: Feed
    speed: float
    models: tuple[str, ...]
    workers: int = 1
    partitions: int = 4
    seconds: float | None = None  # from the broker's being up; None: until a signal
    bootstrap_servers: str | None = None  # None: an embedded Kafka


@dataclass(slots=True)
class DemoSummary:
    """What came of it."""

    board: Board
    vitals: Vitals
    ended_by: int | None = None  # the signal, if one did


def run_demo(plan: DemoPlan, display: Display) -> DemoSummary:
    """Run until told to end; nothing is left behind, whichever way it ends.

    Raises `DemoError` when a worker or the broker ends by itself, and whatever the stream raises (an unreadable
    file, a line that is no event).
    """
    departure = Departure()
    with departure.listening():
        demo = _Demo(plan, display, departure)
        try:
            with ExitStack() as stack:
                try:
                    demo.run(stack)
                finally:
                    departure.begin_to_end()
                    display.doing("ending the workers and Kafka")
        except Leave:
            demo.summary.ended_by = departure.asked_by
        finally:
            display.silence()
    return demo.summary


class _Demo:
    def __init__(self, plan: DemoPlan, display: Display, departure: Departure) -> None:
        self._plan = plan
        self._display = display
        self._departure = departure
        self._workers: list[WorkerProcess] = []
        self._broker: EmbeddedBroker | None = None
        self._servers = ""
        self._broker_up = math.inf
        self._events_rate, self._forecasts_rate = Rate(), Rate()
        self._dead_letters = 0
        self._alerts = 0
        self._latest_alert: AlertRecord | None = None
        self._first_forecast: float | None = None
        board = Board(plan.models[0].partition("@")[0])
        self.summary = DemoSummary(board, Vitals("", (), plan.speed))

    def run(self, stack: ExitStack) -> None:
        """Bring everything up, each with its way down on the stack; then watch."""
        plan, display, feed = self._plan, self._display, self._plan.feed
        stack.callback(feed.stop)
        feed.prepare()
        prefix, app_id = self._start_kafka(stack)
        self._start_workers(stack, WorkerPlan(self._servers, app_id, prefix, plan.models, self._broker is not None))
        intake = Intake(self._servers, prefix, plan.partitions, self._security())
        stack.callback(intake.close)
        pulse = PulseReader([worker.http_port for worker in self._workers])
        stack.callback(pulse.stop)
        feed.publish(self._servers, f"{prefix}.events", plan.partitions, self._security())
        stack.callback(feed.stop)
        self._await_first_forecast(intake, pulse)
        with display.watching():
            while self._goes_on():
                self._look(intake, pulse)
                display.show(self.summary.board, self.summary.vitals)

    def _start_kafka(self, stack: ExitStack) -> tuple[str, str]:
        """The prefix of the topics and the app id: a cluster that is not ours gets names of this run's own."""
        plan, display = self._plan, self._display
        if plan.bootstrap_servers is not None:
            self._servers = plan.bootstrap_servers
            name = f"cascadecast-demo-{secrets.token_hex(4)}"
            self._broker_up = time.monotonic()
            stack.callback(remove_topics, self._servers, name)
            create_topics(self._servers, declared_topics(plan.partitions, prefix=name))
            display.done(f"using Kafka at {self._servers}, topics {name}.*")
            return name, name
        display.doing("starting Kafka")
        self._broker = EmbeddedBroker(announce=display.update)
        stack.callback(self._broker.stop)
        self._broker.start()
        self._servers = self._broker.bootstrap_servers
        self._broker_up = time.monotonic()
        create_topics(self._servers, declared_topics(plan.partitions), security=self._security())
        display.done(f"Kafka serves at {self._servers}")
        return DEFAULT_PREFIX, "cascadecast"

    def _security(self) -> KafkaSecurity | None:
        """The demo's own Kafka asks for nothing; another as configured."""
        return None if self._broker is None else PLAINTEXT

    def _start_workers(self, stack: ExitStack, plan: WorkerPlan) -> None:
        stack.callback(self._end_workers)
        for _ in range(self._plan.workers):
            self._workers.append(WorkerProcess(plan))
        many = "a worker" if len(self._workers) == 1 else f"{len(self._workers)} workers"
        self._display.done(f"started {many} with {', '.join(plan.models)}; live page at {self._workers[0].page_url}")

    def _end_workers(self) -> None:
        """All drain at once."""
        for worker in self._workers:
            worker.begin_to_end()
        for worker in self._workers:
            worker.end()

    def _await_first_forecast(self, intake: Intake, pulse: PulseReader) -> None:
        display, feed = self._display, self._plan.feed
        display.doing("waiting for the first forecast")
        while self._first_forecast is None and self._goes_on():
            self._look(intake, pulse)
            passed = time.monotonic() - self._broker_up
            if not feed.prepared.is_set():
                doing = "reading and ordering the stream"
            elif self.summary.vitals.live_cascades is None:
                doing = f"{feed.sent:,} events published; the workers load their models"
            else:
                doing = f"{feed.sent:,} events published; waiting for the first forecast"
            display.update(f"{doing} ({passed:.0f} s)")
        if self._first_forecast is not None:
            display.done(f"first forecast {self._first_forecast:.1f} s after Kafka was up")

    def _goes_on(self) -> bool:
        """False when the time is up; raises when a part of the demo is gone or the user wants to leave."""
        self._departure.check()
        plan = self._plan
        if self._broker is not None and not self._broker.is_running():
            raise DemoError(f"Kafka ended by itself; {end_of_log(self._broker.log_path)}")
        for number, worker in enumerate(self._workers, 1):
            status = worker.exit_status()
            if status is not None:
                raise DemoError(f"worker {number} ended with status {status}; {end_of_log(worker.log_path)}")
        if plan.feed.error is not None:
            raise plan.feed.error
        return plan.seconds is None or time.monotonic() - self._broker_up < plan.seconds

    def _look(self, intake: Intake, pulse: PulseReader) -> None:
        """Take in what came and renew the vital signs."""
        board, feed = self.summary.board, self._plan.feed
        batch = intake.poll(POLL_SECONDS)
        board.add(batch.forecasts)
        self._dead_letters += batch.dead_letters
        opened = [alert for alert in batch.alerts if alert.state is AlertState.OPENED]
        self._alerts += len(opened)
        self._latest_alert = max([*opened, *filter(None, [self._latest_alert])], key=_when, default=None)
        if self._first_forecast is None and len(board):
            self._first_forecast = time.monotonic() - self._broker_up
        forecasts = board.forecasts.total()
        beat = pulse.latest
        self.summary.vitals = Vitals(
            bootstrap_servers=self._servers,
            page_urls=[worker.page_url for worker in self._workers],
            speed=self._plan.speed,
            event_time=feed.event_time,
            events=feed.sent,
            events_per_second=self._events_rate.of(feed.sent),
            forecasts=forecasts,
            forecasts_per_second=self._forecasts_rate.of(forecasts),
            live_cascades=None if beat is None else beat.live_cascades,
            waiting=0 if beat is None else beat.waiting,
            dead_letters=self._dead_letters,
            alerts=self._alerts,
            latest_alert=self._latest_alert,
            first_forecast_seconds=self._first_forecast,
            ended=feed.ended,
        )


def _when(alert: AlertRecord) -> float:
    return alert.as_of
