"""The work of a worker between Faust's callbacks: its parts, put together, and its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import structlog

from graph import CascadeView
from streams.alerts.rules import RuleBook
from streams.engine.inference import ForecastService
from streams.engine.partition import Partition
from streams.engine.raw_record import Record
from streams.metrics import WorkerMetrics
from streams.records import ForecastRecord
from streams.scoring.standing import Standing, together
from streams.settings import Settings
from streams.state.store import SegmentStore
from streams.web.alert_history import AlertHistory
from streams.web.board import LiveBoard
from streams.worker.assigned import Assigned
from streams.worker.forecasting import Forecasting
from streams.worker.heartbeat import Heartbeats
from streams.worker.idleness import Idleness
from streams.worker.intake import Intake
from streams.worker.outputs import DirectOutputs, Outputs, Publisher
from streams.worker.ownership import Ownership
from streams.worker.partition_figures import PartitionFigures
from streams.worker.publication import Publication
from streams.worker.source import Source

log = structlog.get_logger("cascadecast.worker")

IDLE_CHECK_SECONDS: Final = 1.0


class WorkerCore:
    """Owns the assigned partitions; knows Kafka only through a publisher, a source and a store of segments."""

    def __init__(
        self,
        settings: Settings,
        service: ForecastService,
        publisher: Publisher,
        source: Source,
        open_store: Callable[[int], SegmentStore],
        metrics: WorkerMetrics,
        outputs: Outputs | None = None,
        rules: RuleBook | None = None,
        heartbeats: Heartbeats | None = None,
    ) -> None:
        """``outputs`` None: through ``publisher``, at least once. ``rules`` None: no alerts. ``heartbeats`` None: those
        that come are passed over."""
        outputs = outputs or DirectOutputs(publisher)
        figures = PartitionFigures(metrics, source)
        self._settings = settings
        self._service = service
        self.metrics = metrics
        self._ownership = Ownership(
            settings, rules or RuleBook(), outputs, source, open_store, metrics, figures, heartbeats
        )
        self._publication = Publication(settings, self._ownership, outputs, metrics, figures, heartbeats)
        self._forecasting = Forecasting(
            settings, service, self._ownership.assigned, self._publication, metrics, figures
        )
        self.intake = Intake(
            settings, self._ownership, self._forecasting, source, publisher, outputs, metrics, figures, heartbeats
        )
        self._idleness = Idleness(settings, metrics, figures)
        self.ready = False
        metrics.show_lineup(service.lineup)
        metrics.partitions.set(settings.partitions)
        metrics.memory_limit.set(settings.memory_limit_bytes / settings.partitions)
        metrics.show_standing(self.standing, lambda: service.lineup)

    # --- what can be seen from outside

    @property
    def assigned(self) -> Mapping[int, Assigned]:
        """The partitions that are ours, by number."""
        return self._ownership.assigned

    @property
    def to_recover(self) -> set[int]:
        """Partitions that are ours and not read yet."""
        return self._ownership.to_recover

    @property
    def rounds_done(self) -> int:
        """Rounds of forecasts that are out."""
        return self._publication.rounds_done

    @property
    def board(self) -> LiveBoard:
        """The newest forecasts."""
        return self._publication.board

    @property
    def alert_history(self) -> AlertHistory:
        """The newest alerts."""
        return self._publication.alert_history

    def models(self) -> list[dict[str, str]]:
        """The loaded models, for people."""
        return [
            {"model": model.name, "version": model.version, "role": role.value}
            for role, model in self._service.lineup.members()
        ]

    def standing(self) -> Standing:
        """How the models stand by the scores of all partitions that are ours."""
        return together(one.partition.learner.learned.standing for one in list(self.assigned.values()))

    def committed(self, number: int, next_offset: int) -> None:
        """The group has accepted a commit of this offset of a partition."""
        self._ownership.committed(number, next_offset)

    def state_end(self, number: int) -> int | None:
        """The offset at which the state of a partition goes on; None where it is not ours."""
        return self._ownership.state_end(number)

    def recovered_so_far(self) -> tuple[int, int]:
        """Segments and cascades read of the partition that is being recovered; they grow while it proceeds."""
        return self._ownership.recovered_so_far()

    def backlog(self) -> int:
        """Forecasts that are due and wait, over all partitions."""
        return self._forecasting.backlog()

    def is_forecasting(self) -> bool:
        """Whether forecasts are due, computed or published."""
        return self._forecasting.is_at_work()

    async def forecast_now(self, partition: Partition, view: CascadeView, as_of: float) -> list[ForecastRecord]:
        """What the champions say of a cascade at this moment, for whoever asks: neither published nor kept."""
        return await self._forecasting.make_now(partition, view, as_of)

    # --- what is to be done

    async def own(self, partitions: set[int], still_ours: Callable[[], bool] = lambda: True) -> None:
        """Take over exactly ``partitions``, as long as they are ``still_ours``: see `Ownership.own`."""
        await self._ownership.own(partitions, still_ours)
        self._forecasting.wake()

    async def disown(self, number: int) -> None:
        """Forget a partition: another worker has it, or may have had it."""
        await self._ownership.disown(number)

    async def ingest(self, batches: Mapping[int, Sequence[Record]], source_topic: str) -> None:
        """Apply one micro-batch and make it durable; returns once its offsets may be committed."""
        await self.intake.take(batches, source_topic)

    async def run_forecasts(self) -> None:
        """Make what is due until stopped; raises what a round could not be published for."""
        await self._forecasting.run()

    def rules_changed(self) -> None:
        """Other rules are in force: open alerts of rules that are gone end."""
        self._forecasting.wake()

    async def tick(self) -> None:
        """Advance the watermark of idle live partitions from the wall clock; read on; refresh the gauges."""
        now = time.time()
        for one in list(self.assigned.values()):
            if self._idleness.is_idle(one, now):
                await self._idleness.advance(one, now)
                self._forecasting.wake()
            await self.intake.read_on(one, now - one.last_arrival_wall if self.ready else 0.0)
            self._ownership.show(one)
        self.metrics.show_open_alerts(one.partition.alerts.open_now() for one in self.assigned.values())

    async def drain(self) -> None:
        """Finish what is in hand: the batch being ingested, the forecasts that are due; note how far we came."""
        deadline = time.monotonic() + self._settings.drain_timeout_seconds
        while time.monotonic() < deadline and self._in_hand():
            self._forecasting.wake()
            await asyncio.sleep(0.02)
        await self._forecasting.stop()
        for one in list(self.assigned.values()):
            async with one.lock:
                await one.log.checkpoint(one.partition)
        self._forecasting.close()
        log.info("drained", waiting=self.backlog(), partitions=len(self.assigned))

    def _in_hand(self) -> bool:
        if self._forecasting.fault is not None:
            return False  # it will not get better by waiting
        return self.intake.is_busy() or self._forecasting.is_at_work()
