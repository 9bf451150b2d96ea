"""Publishing a round: its forecasts, scores and alerts go out by partition, and what is out is told."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from typing import Final

import structlog

from streams.alerts.records import AlertRecord
from streams.engine.due import Due, Skipped
from streams.engine.inference import ModelRun
from streams.engine.lineup import Role
from streams.engine.partition import Partition
from streams.metrics import WorkerMetrics
from streams.scoring.scores import ScoreRecord
from streams.settings import Settings
from streams.web.alert_history import AlertHistory
from streams.web.board import LiveBoard
from streams.worker.heartbeat import Heartbeats
from streams.worker.outputs import Output, Outputs, SupersededError
from streams.worker.ownership import Ownership
from streams.worker.partition_figures import PartitionFigures
from streams.worker.rounds import Alerted, Matured, Share, shares

FAULT_EVERY_SECONDS: Final = 60.0
"""Of wall time: a model that fails does so many times a second, and one post is enough to look at."""

log = structlog.get_logger("cascadecast.publication")


class Publication:
    """Of the rounds of a worker; keeps the newest forecasts and alerts for its pages."""

    def __init__(
        self,
        settings: Settings,
        ownership: Ownership,
        outputs: Outputs,
        metrics: WorkerMetrics,
        figures: PartitionFigures,
        heartbeats: Heartbeats | None,
    ) -> None:
        self._settings = settings
        self._ownership = ownership
        self._outputs = outputs
        self._metrics = metrics
        self._figures = figures
        self._heartbeats = heartbeats
        self._faults_told: dict[str, float] = {}  # by model
        self.rounds_done = 0
        self.board = LiveBoard(self._lives_here)
        self.alert_history = AlertHistory()

    def _lives_here(self, cascade_id: str) -> bool:
        return any(cascade_id in one.partition.store for one in self._ownership.assigned.values())

    async def publish(
        self, dues: Sequence[Due], runs: Sequence[ModelRun], matured: Sequence[Matured], alerted: Sequence[Alerted]
    ) -> None:
        """Publish a round; returns once Kafka has acknowledged all of it, raises if it does not."""
        parted = shares(dues, runs, matured, alerted, self._settings.horizon_seconds)
        await asyncio.gather(*(self._publish_share(share) for share in parted))
        metrics = self._metrics
        for run in runs:
            metrics.failed.labels(run.model, run.role.value).inc(run.failed)
            metrics.supercritical.labels(run.model, run.role.value).inc(run.supercritical)
            metrics.inference.labels(run.model, run.role.value).observe(run.seconds)
            self._tell_fault(run)
            if run.role is Role.CHAMPION:
                self.board.add(run.model, run.records)
        self.rounds_done += 1
        await self.see_heartbeats_out()

    def _tell_fault(self, run: ModelRun) -> None:
        now = time.monotonic()
        if run.fault is None or now - self._faults_told.get(run.model, -math.inf) < FAULT_EVERY_SECONDS:
            return
        self._faults_told[run.model] = now
        cascade, error = run.fault
        log.warning("a forecast failed", model=run.model, version=run.version, cascade=cascade, error=error)

    async def _publish_share(self, share: Share) -> None:
        partition = share.partition
        outputs = [output for output, _ in share.outputs]
        try:
            out = await self._outputs.publish(
                partition.number, outputs, partition.out_before(share.dues, share.changes)
            )
        except SupersededError:
            self._metrics.skipped.labels(Skipped.MOVED.value).inc(len(share.dues))
            await self._ownership.drop_superseded(partition)
            return
        self._figures.count_withheld(outputs, out)
        alerted = self._tell(share, out)
        self._metrics.made.inc(len(share.dues))
        share.settle()
        now = time.time()
        for due in share.dues:
            seconds = self._observe_latency(due, now)
            if seconds is not None and (due.cascade, due.as_of) in alerted:
                self._metrics.alert_latency.observe(seconds)

    def _tell(self, share: Share, out: Sequence[Output]) -> set[tuple[str, float]]:
        """Count what is out, and keep what pages show; returns cascade and as_of of each alert."""
        published = {id(output) for output in out}
        scores: list[ScoreRecord] = []
        alerted: set[tuple[str, float]] = set()
        for output, origin in share.outputs:
            if id(output) not in published:
                continue
            if isinstance(origin, ScoreRecord):
                scores.append(origin)
            elif isinstance(origin, AlertRecord):
                alerted.add((origin.cascade, origin.as_of))
                self.alert_history.add(origin)
                self._metrics.alerts.labels(origin.rule, origin.severity.value, origin.state.value).inc()
            else:
                self._metrics.published.labels(origin.model, origin.role.value).inc()
        self._metrics.observe_scores(scores)
        return alerted

    def _observe_latency(self, due: Due, now: float) -> float | None:
        """How long the forecast took (s); None where that cannot be told."""
        one = self._ownership.assigned.get(due.partition.number)
        if one is None or one.partition is not due.partition:
            return None
        if one.live:
            self._metrics.freshness.observe(max(0.0, now - due.as_of))
        arrival = one.arrival_after(due.as_of)
        if math.isnan(arrival):
            return None
        seconds = max(0.0, now - arrival)
        self._metrics.latency.observe(seconds)
        return seconds

    async def see_heartbeats_out(self) -> None:
        """Of partitions whose outputs are out, up to what was due when a heartbeat was taken in."""
        if self._heartbeats is not None:
            beats = self._heartbeats
            owned = list(self._ownership.assigned.values())
            await asyncio.gather(*(self._see_out(beats, one.partition) for one in owned))

    async def _see_out(self, heartbeats: Heartbeats, partition: Partition) -> None:
        sent = heartbeats.at_the_end(partition.number, lambda: partition.out_before(()))
        if sent is None:
            return
        try:
            # No later time than the state knows of: the wall clock may have moved the watermark since, and a crash
            # would move it back.
            await self._outputs.note(partition.number, sent.due_before)
        except SupersededError:
            await self._ownership.drop_superseded(partition)
        else:
            heartbeats.arrived(partition.number, sent)
