"""Making forecasts: round after round of what is due, computed in a thread, published while the next is computed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from graph import CascadeView
from streams.alerts.telling import tell_partitions
from streams.engine.answers import give_to_learners
from streams.engine.due import Due
from streams.engine.inference import ForecastService, ModelRun
from streams.engine.lineup import Role
from streams.engine.partition import Partition
from streams.metrics import WorkerMetrics
from streams.records import ForecastRecord
from streams.scoring.learning import NOTHING
from streams.settings import Settings
from streams.worker.assigned import Assigned
from streams.worker.pace import Pace
from streams.worker.partition_figures import PartitionFigures
from streams.worker.publication import Publication
from streams.worker.rounds import Alerted, Matured

ROUNDS_IN_FLIGHT: Final = 4
"""Rounds of forecasts that wait for Kafka's acknowledgements while the next one is computed: rounds are short."""

TEACHING_ROUND: Final = 8
"""Under overload blends learn from one round in so many: half of the forecasts that a hurried worker makes are kept,
and to ask all experts for each of them would cost more than the forecasts themselves. A round of its own, since an
expert costs nearly as much for one cascade as for twenty."""


class Forecasting:
    """The rounds of a worker, over all ``assigned`` partitions."""

    def __init__(
        self,
        settings: Settings,
        service: ForecastService,
        assigned: Mapping[int, Assigned],
        publication: Publication,
        metrics: WorkerMetrics,
        figures: PartitionFigures,
    ) -> None:
        self._settings = settings
        self._service = service
        self._assigned = assigned
        self._publication = publication
        self._metrics = metrics
        self._figures = figures
        self.pace = Pace(settings, assigned)
        self._wake = asyncio.Event()
        self._progress = asyncio.Condition()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="inference")
        self._rounds: set[asyncio.Task[None]] = set()
        self._made = 0
        """Rounds so far."""
        self._stopping = False
        self.fault: BaseException | None = None
        """What a round could not be published for; there will be no further one."""

    def wake(self) -> None:
        """There may be something to do."""
        self._wake.set()

    def backlog(self) -> int:
        """Forecasts that are due and wait, over all partitions."""
        return self.pace.backlog()

    def is_at_work(self) -> bool:
        """Whether forecasts are due, computed or published."""
        return bool(self.pace.computing or self._rounds or self._anything_due())

    async def caught_up(self) -> None:
        """Return once input need not wait for the forecasts."""
        async with self._progress:
            await self._progress.wait_for(lambda: self._stopping or self.fault is not None or not self.pace.is_behind())

    async def make_now(self, partition: Partition, view: CascadeView, as_of: float) -> list[ForecastRecord]:
        """What the champions say of a cascade at this moment, for whoever asks: neither published nor kept."""
        learned = partition.learner.learned if self._settings.learn else NOTHING
        runs = await self._compute([Due(partition, view, as_of, "", learned, keep=False)])
        return [record for run in runs if run.role is Role.CHAMPION for record in run.records]

    async def run(self) -> None:
        """Make what is due until stopped.

        Raises what a round could not be published for: the worker must not go on as if it were out. After a restart it
        is made again.
        """
        while not self._stopping and self.fault is None:
            dues, matured = self._collect()
            alerted = self._tell_alerts((), ()) if not dues else []
            if not dues and not matured and not alerted:
                self._wake.clear()
                await self._tell_progress()  # what waited may be dropped, of which nothing is made
                await self._publication.see_heartbeats_out()
                if not self._anything_due():
                    await self._wake.wait()
                continue
            self.pace.computing = max(1, len(dues))
            started = time.perf_counter()
            runs = await self._compute(dues)
            self.pace.took(len(dues), time.perf_counter() - started)
            answers = [answer for run in runs for answer in run.answers]
            give_to_learners(dues, answers, self._settings.horizon_seconds)  # before anything more is taken
            if dues:
                alerted = self._tell_alerts(dues, runs)
            while len(self._rounds) >= ROUNDS_IN_FLIGHT:
                await asyncio.wait(self._rounds, return_when=asyncio.FIRST_COMPLETED)
            task = asyncio.create_task(self._publish(dues, runs, matured, alerted))
            self._rounds.add(task)
            task.add_done_callback(self._round_ended)
            self.pace.computing = 0
        if self.fault is not None:
            await self._tell_progress()
            raise self.fault

    async def _compute(self, dues: Sequence[Due]) -> list[ModelRun]:
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._service.forecast, dues)

    async def _publish(
        self, dues: Sequence[Due], runs: Sequence[ModelRun], matured: Sequence[Matured], alerted: Sequence[Alerted]
    ) -> None:
        await self._publication.publish(dues, runs, matured, alerted)
        await self._tell_progress()

    def _round_ended(self, task: asyncio.Task[None]) -> None:
        self._rounds.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            self.fault = fault
            self._wake.set()

    async def _tell_progress(self) -> None:
        async with self._progress:
            self._progress.notify_all()

    def _anything_due(self) -> bool:
        return any(one.partition.has_due() for one in list(self._assigned.values()) if not one.advancing)

    def _collect(self) -> tuple[list[Due], list[Matured]]:
        """A round, and what has matured."""
        dues: list[Due] = []
        matured: list[Matured] = []
        waiting = self.pace.backlog()
        teaching = self._made % TEACHING_ROUND == 0
        limits = self.pace.round_limits(teaching=teaching)
        for number, one in self._assigned.items():
            if one.advancing:
                continue
            overloaded = self.pace.is_overloaded(one, waiting)
            limit = limits.get(number, 0)
            dues.extend(one.partition.take_due(limit, overloaded=overloaded, teach=teaching or not overloaded))
            self._figures.count_due(one)
            if truths := one.partition.take_truths():
                matured.append((one.partition, truths))
            if (learned := one.partition.learner.learned) is not one.shown:
                one.shown = learned
                self._metrics.show_weights(number, self._service.lineup, learned)
                self._metrics.show_populations(number, learned)
        self._made += bool(dues)
        self._metrics.backlog.set(self.pace.backlog())
        return dues, matured

    def _tell_alerts(self, dues: Sequence[Due], runs: Sequence[ModelRun]) -> list[Alerted]:
        """Tell the partitions what the champion said, and gather what is to be told of their alerts."""
        partitions = {id(one.partition): one.partition for one in self._assigned.values() if not one.advancing}
        partitions |= {id(due.partition): due.partition for due in dues}
        tell_partitions(partitions.values(), runs, self._service.lineup)
        for one in self._assigned.values():
            self._figures.count_withheld_alerts(one)
        return [(partition, changes) for partition in partitions.values() if (changes := partition.take_alerts())]

    async def stop(self) -> None:
        """Begin no further round, and let nobody wait for one."""
        self._stopping = True
        self._wake.set()
        await self._tell_progress()

    def close(self) -> None:
        """End the thread of the models."""
        self._executor.shutdown(wait=True)
