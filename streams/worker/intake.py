"""Taking events in: micro-batches of records are applied to their partitions and made durable."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Final

import structlog

from streams.engine.changes import Changes
from streams.engine.partition import Partition
from streams.engine.raw_record import Record
from streams.kafka.dead_letters import dead_letter_headers
from streams.metrics import WorkerMetrics
from streams.settings import Settings
from streams.worker.assigned import Assigned
from streams.worker.forecasting import Forecasting
from streams.worker.heartbeat import Heartbeats
from streams.worker.outputs import Output, Outputs, Publisher, SupersededError
from streams.worker.ownership import Ownership
from streams.worker.partition_figures import PartitionFigures
from streams.worker.progress import OutputKey, OutputKind
from streams.worker.source import Source

log = structlog.get_logger("cascadecast.intake")

SILENCE_SECONDS: Final = 15.0
"""Longer than any fetch takes: if records lie in Kafka and none has come for so long, they were passed over."""


class Intake:
    """Takes in what the ``source`` delivers of the partitions that are ours."""

    def __init__(
        self,
        settings: Settings,
        ownership: Ownership,
        forecasting: Forecasting,
        source: Source,
        publisher: Publisher,
        outputs: Outputs,
        metrics: WorkerMetrics,
        figures: PartitionFigures,
        heartbeats: Heartbeats | None,
    ) -> None:
        self._settings = settings
        self._ownership = ownership
        self._forecasting = forecasting
        self._source = source
        self._publisher = publisher
        self._outputs = outputs
        self._metrics = metrics
        self._figures = figures
        self._heartbeats = heartbeats
        self._batches_in_hand = 0
        self._free = asyncio.Event()
        self._free.set()

    def is_busy(self) -> bool:
        """Whether a batch is being taken in, or waits for the forecasts."""
        return self._batches_in_hand > 0

    async def wait_free(self, at_most_seconds: float) -> None:
        """Return once it is not, or after so long."""
        try:
            await asyncio.wait_for(self._free.wait(), at_most_seconds)
        except TimeoutError:
            return

    async def take(self, batches: Mapping[int, Sequence[Record]], source_topic: str) -> None:
        """Apply one micro-batch, by partition, and make it durable; returns once its offsets may be committed."""
        self._batches_in_hand += 1
        self._free.clear()
        started = time.perf_counter()
        try:
            assigned = self._ownership.assigned
            owned = [(assigned[number], records) for number, records in batches.items() if number in assigned]
            if self._settings.shed == "paced":
                # One after the other: many events of a partition's cascades come before their forecast is made.
                for one, records in owned:
                    await self._take_in_parts(one, records, source_topic)
            else:
                await asyncio.gather(*(self._take_in_parts(one, records, source_topic) for one, records in owned))
            self._metrics.batch.observe(time.perf_counter() - started)
            if self._settings.shed is not True:
                await self._forecasting.caught_up()
        finally:
            self._batches_in_hand -= 1
            if not self._batches_in_hand:
                self._free.set()

    async def _take_in_parts(self, one: Assigned, arriving: Sequence[Record], source_topic: str) -> None:
        for number, part in enumerate(self._forecasting.pace.steps(one, arriving)):
            if number and self._settings.shed == "paced":
                await self._forecasting.caught_up()
            await self._take_part(one, part, source_topic)

    async def _take_part(self, one: Assigned, arriving: Sequence[Record], source_topic: str) -> None:
        async with one.lock:
            if one.given_up:
                return
            partition = one.partition
            one.last_arrival_wall = time.time()
            if not all(record.is_heartbeat for record in arriving):
                one.last_event_wall = one.last_arrival_wall
                await self._keep_advance(one)
            records, rewind = one.flow.admit(arriving, time.monotonic())
            if rewind is not None:
                await self._rewind(one, rewind)
            if not records:
                return
            changes = partition.apply_records(records, check_keys=True)
            # Before the state says that these records are done: after a crash they come again if it does not.
            try:
                await self._divert(changes, partition, source_topic)
            except SupersededError:
                await self._ownership.disown(partition.number)
                return
            self._metrics.changelog_bytes.inc(await one.write(changes))
        self._figures.count_changes(changes, len(records))
        one.last_record_time = records[-1].timestamp
        self._note_arrival(one, records)
        if self._heartbeats is not None:
            self._heartbeats.durable(partition.number, changes.heartbeats, partition.watermark.value)
        self._ownership.show(one)
        self._forecasting.wake()

    async def _keep_advance(self, one: Assigned) -> None:
        """Make durable what the wall clock did and nothing has rested on so far: what the coming records bring will."""
        if one.partition.watermark.value > one.log.watermark:
            self._metrics.changelog_bytes.inc(await one.write(Changes()))

    def _note_arrival(self, one: Assigned, records: Sequence[Record]) -> None:
        """What follows from events, and not from heartbeats: by these a quiet partition would never be idle."""
        last = next((record for record in reversed(records) if not record.is_heartbeat), None)
        if last is None:
            return
        one.look_whether_live(self._settings.live_within_seconds)
        one.note_arrival(last.timestamp)
        self._metrics.last_event.labels(str(one.partition.number)).set(last.timestamp)

    async def _divert(self, changes: Changes, partition: Partition, source_topic: str) -> None:
        """Publish the dead letters, and under their own keys the events that came under others."""
        if changes.dead:
            number = partition.number
            letters = [
                Output(
                    "dead-letters",
                    (record.key, record.value, dead_letter_headers(record, rejected, source_topic, number)),
                    OutputKey(OutputKind.DEAD_LETTER, record.offset),
                )
                for record, rejected in changes.dead
            ]
            out = await self._outputs.publish(number, letters, partition.out_before(()))
            self._figures.count_withheld(letters, out)
        if changes.misrouted:
            await self._publisher.publish(
                "events", [(cascade.encode(), record.value, []) for record, cascade in changes.misrouted]
            )

    async def read_on(self, one: Assigned, silence_seconds: float) -> None:
        """Ask again for records that were asked for, or that lie in Kafka while none came for so long."""
        again = one.flow.rewind_due(time.monotonic())
        if again is None and silence_seconds > SILENCE_SECONDS and not self.is_busy():
            end = await self._source.end(one.partition.number)
            again = one.flow.rewind_at_rest(end) if end is not None else None
        if again is not None:
            await self._rewind(one, again)

    async def _rewind(self, one: Assigned, offset: int) -> None:
        number = one.partition.number
        first = await self._source.first_from(number, offset)
        if first is not None and first > offset and one.flow.position == offset:
            log.warning("Kafka has no such records, or no longer", partition=number, offset=offset, until=first)
            one.flow.goes_on_at(first)
            offset = first
        log.warning("records were passed over; reading again", partition=number, offset=offset)
        self._metrics.rewinds.inc()
        await self._source.rewind(number, offset)
