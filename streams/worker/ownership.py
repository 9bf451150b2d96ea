"""Which partitions a worker owns: taking one over from its durable state, and letting it go."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from graph import StateFormatError
from streams.alerts.rules import RuleBook
from streams.engine.partition import Partition
from streams.metrics import WorkerMetrics
from streams.settings import Settings
from streams.state.log import SegmentLog, no_garbage_collection
from streams.state.squeezing import DamagedStateError
from streams.state.store import SegmentStore
from streams.worker.assigned import Assigned
from streams.worker.continuity import Continuity
from streams.worker.heartbeat import Heartbeats
from streams.worker.outputs import Outputs
from streams.worker.partition_figures import PartitionFigures
from streams.worker.source import Source

log = structlog.get_logger("cascadecast.ownership")

READ_AT_ONCE: Final = 2
"""Partitions. Where one waits for the disk, unpacks or has numpy at work, another has the interpreter. More would take
memory, a few hundred megabytes for a million events each, and wait for each other."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """A partition whose durable state is being read, or has been."""

    partition: Partition
    log: SegmentLog
    began: float  # s, of the performance counter


class Ownership:
    """The partitions that are ours, and those that are to be read before they are."""

    def __init__(
        self,
        settings: Settings,
        rules: RuleBook,
        outputs: Outputs,
        source: Source,
        open_store: Callable[[int], SegmentStore],
        metrics: WorkerMetrics,
        figures: PartitionFigures,
        heartbeats: Heartbeats | None,
    ) -> None:
        self._settings = settings
        self._rules = rules
        self._outputs = outputs
        self._source = source
        self._open_store = open_store
        self._metrics = metrics
        self._figures = figures
        self._heartbeats = heartbeats
        self.assigned: dict[int, Assigned] = {}
        self.to_recover: set[int] = set()  # ours, and not read yet
        self._reading: list[_Reading] = []

    def state_end(self, number: int) -> int | None:
        """The offset at which the state of a partition goes on; None where it is not ours."""
        one = self.assigned.get(number)
        return None if one is None else one.flow.position

    def committed(self, number: int, next_offset: int) -> None:
        """The group has accepted a commit of this offset of a partition."""
        one = self.assigned.get(number)
        if one is not None:
            one.log.committed(next_offset)

    def show(self, one: Assigned) -> None:
        """Tell the metrics where a partition stands, while it is ours."""
        if one.partition.number in self.assigned:
            self._figures.show(one)

    def recovered_so_far(self) -> tuple[int, int]:
        """Segments and cascades of the partitions that are being read; they grow while it proceeds."""
        reading = list(self._reading)
        return sum(one.log.segments for one in reading), sum(len(one.partition.store) for one in reading)

    async def own(self, partitions: set[int], still_ours: Callable[[], bool]) -> None:
        """Take over exactly ``partitions``: recover the new ones from durable state, let the others go.

        A partition that stayed ours through the rebalance is read again too when its log grew elsewhere meanwhile.
        Returns early when ``still_ours`` turns false: the next rebalance says what is ours then, and a log that may be
        another worker's by now must not be opened.
        """
        for number in sorted(set(self.assigned) - partitions):
            await self.disown(number)
        self.to_recover = {
            number
            for number in partitions
            if (known := self.assigned.get(number)) is None or not known.log.is_current()
        }
        for number in partitions - self.to_recover:
            self.assigned[number].flow.after_rebalance()
        # Not by each of those that read: the first to end would turn it on for the others.
        with no_garbage_collection():
            await self._recover(sorted(self.to_recover), still_ours)

    async def _recover(self, numbers: Sequence[int], still_ours: Callable[[], bool]) -> None:
        """Read some partitions, and open them one after the other in this order."""
        to_read = deque(numbers)
        reads: deque[asyncio.Task[_Reading]] = deque()
        try:
            while still_ours():
                while to_read and len(reads) < READ_AT_ONCE:
                    reads.append(asyncio.create_task(self._read(to_read.popleft())))
                if not reads:
                    return
                reading = await reads.popleft()
                if still_ours():
                    await self._open(reading)
        finally:
            # No thread may go on in a store that the next rebalance closes.
            await asyncio.gather(*reads, return_exceptions=True)

    async def _read(self, number: int) -> _Reading:
        store = self._open_store(number)
        reading = _Reading(
            Partition(number, self._settings, self._rules),
            SegmentLog(store, shared=self._settings.batched_delivery),
            time.perf_counter(),
        )
        self._reading.append(reading)
        try:
            # In a thread: it takes seconds where there is much, and the loop has heartbeats and pages to serve.
            await asyncio.to_thread(reading.log.load, reading.partition)
        except (DamagedStateError, StateFormatError):
            store.distrust()
            raise
        finally:
            self._reading.remove(reading)
        store.trust()
        return reading

    async def _open(self, reading: _Reading) -> None:
        partition, segments = reading.partition, reading.log
        number, read = partition.number, segments.segments
        await self._outputs.take_over(number)
        await segments.open_epoch(partition)
        position = await self._goes_on_at(number, segments.next_offset)
        if (former := self.assigned.get(number)) is not None:
            former.given_up = True
        self.assigned[number] = one = Assigned(partition, segments, Continuity(position))
        self.to_recover.discard(number)
        one.look_whether_live(self._settings.live_within_seconds)
        if self._heartbeats is not None:
            self._heartbeats.begin(number)
        seconds = time.perf_counter() - reading.began
        self._metrics.recovery.labels(str(number)).set(seconds)
        self.show(one)
        log.info(
            "partition recovered",
            partition=number,
            segments=read,
            cascades=len(partition.store),
            seconds=round(seconds, 3),
        )

    async def _goes_on_at(self, number: int, next_offset: int) -> int:
        """Where to read on. Without any state that is the events' beginning, whatever was once committed; and so it is
        where the topic ends before the state does: it was made anew, and the broker's time tells what is new."""
        end = await self._source.end(number) if next_offset >= 0 else None
        if end is not None and end < next_offset:
            log.warning(
                "the events topic is another than that of the state", partition=number, end=end, state=next_offset
            )
        elif next_offset >= 0:
            return next_offset
        return await self._source.earliest(number)

    async def disown(self, number: int) -> None:
        """Forget a partition: another worker has it, or may have had it."""
        if (one := self.assigned.pop(number, None)) is not None:
            one.given_up = True
            self._metrics.forget_partition(number)
            if self._heartbeats is not None:
                self._heartbeats.end(number)
            await self._outputs.release(number)

    async def drop_superseded(self, partition: Partition) -> None:
        """Another worker publishes for the partition: forget it, until a rebalance gives it back."""
        one = self.assigned.get(partition.number)
        if one is not None and one.partition is partition:
            await self.disown(partition.number)
