"""Reads the alerts topic for one target, in a consumer group of its own, and commits what is done."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata

from streams.alerts.delivery.courier import Courier
from streams.alerts.delivery.dead_letter_box import DeadLetterBox, Undeliverable
from streams.alerts.delivery.metrics import Fate, TargetMetrics
from streams.alerts.delivery.notices import Notice, Original, UnreadableError, decode_alert
from streams.alerts.delivery.progress import Note, PartitionProgress, where_to_go_on
from streams.alerts.delivery.sender import Sender
from streams.alerts.delivery.targets_file import NamedTarget
from streams.kafka.groups import aiokafka_config, committed_reader
from streams.settings import Settings

log = structlog.get_logger("cascadecast.delivery")

POLL_SECONDS: Final = 0.5

REBALANCE_GRACE_SECONDS: Final = 5.0
"""For requests under way when a partition moves: less than any session timeout."""


def group_name(app_id: str, target: str) -> str:
    """The consumer group of a target: Kafka is its queue."""
    return f"{app_id}-deliver-{target}"


def original_of(message: ConsumerRecord) -> Original:
    """The record as it came."""
    return Original(message.partition, message.offset, message.timestamp / 1000.0, message.key, message.value or b"")


class Intake(ConsumerRebalanceListener):  # type: ignore[misc]
    """Gives records to the courier while it has room, and notes in Kafka which are done."""

    def __init__(
        self,
        named: NamedTarget,
        settings: Settings,
        sender: Sender,
        courier: Courier,
        box: DeadLetterBox,
        metrics: TargetMetrics,
    ) -> None:
        self._name = named.name
        self._target = named.target
        self._settings = settings
        self._sender = sender
        self._courier = courier
        self._box = box
        self._metrics = metrics
        self._topic = f"{settings.topic_prefix}.alerts"
        self._group = group_name(settings.app_id, named.name)
        self._read_note: Callable[[str, TopicPartition], Awaitable[tuple[int, str]]] = committed_reader(settings)
        self._partitions: dict[int, PartitionProgress] = {}
        self._ends: dict[int, int] = {}  # of the partitions, when they were assigned
        self._was_caught_up = False
        self._assignment_failure: Exception | None = None
        self._changed = asyncio.Event()
        self._consumer = AIOKafkaConsumer(**self._options())
        self.last_round = time.monotonic()
        self.is_ready = False
        courier.on_done = self._done

    def _options(self) -> dict[str, Any]:
        return {
            **aiokafka_config(self._settings),
            "group_id": self._group,
            "enable_auto_commit": False,
            # Where records that were noted are there no more: with the first that is.
            "auto_offset_reset": "earliest",
            "isolation_level": "read_committed",
            "session_timeout_ms": int(self._settings.session_timeout_seconds * 1000),
        }

    async def run(self, stop: asyncio.Event) -> bool:
        """Read until ``stop`` is set, then let requests under way end; whether all did. Raises KafkaError."""
        await self._consumer.start()
        committing = asyncio.create_task(self._commit_again_and_again())
        try:
            self._consumer.subscribe([self._topic], listener=self)
            while not stop.is_set():
                if committing.done():
                    committing.result()
                await self._round()
            ended = await self._courier.release(list(self._partitions), self._settings.drain_timeout_seconds)
            await self._commit()
        finally:
            committing.cancel()
            await asyncio.gather(committing, return_exceptions=True)
            await self._consumer.stop()
        return ended

    async def _round(self) -> None:
        self.last_round = time.monotonic()
        if self._assignment_failure is not None:
            raise self._assignment_failure
        room = self._courier.room
        assigned = self._consumer.assignment()
        # Polled all the same: a consumer that does not poll is taken for dead.
        (self._consumer.resume if room > 0 else self._consumer.pause)(*assigned)
        fetched = await self._consumer.getmany(timeout_ms=int(POLL_SECONDS * 1000), max_records=max(1, room))
        for place, messages in fetched.items():
            for message in messages:
                await self._take(place.partition, message)
        if fetched:
            self._changed.set()
        await self._look()

    async def _take(self, partition: int, message: ConsumerRecord) -> None:
        progress = self._partitions.get(partition)
        if progress is None:  # let go meanwhile
            return
        is_new = progress.read(message.offset)
        original = original_of(message)
        try:
            notice = Notice(decode_alert(original.value), original)
        except UnreadableError as error:
            if is_new:
                await self._refuse(original, str(error))
            return
        record = notice.record
        if self._target.wants(record.rule, record.severity):
            self._sender.heard(notice, again=not is_new)
        if is_new:
            self._courier.accept(notice)
        else:
            self._courier.remember(notice)

    async def _refuse(self, original: Original, why: str) -> None:
        """Bytes that are no alert are of no use to any target."""
        self._metrics.read.inc()
        await self._box.put(self._name, original, Undeliverable.UNREADABLE, why)
        self._metrics.dead_lettered(Undeliverable.UNREADABLE.value)
        self._metrics.met(Fate.DEAD_LETTERED)
        if (progress := self._partitions.get(original.partition)) is not None:
            progress.done(original.offset)
            self._changed.set()

    def _done(self, notice: Notice) -> None:
        progress = self._partitions.get(notice.partition)
        if progress is not None:
            progress.done(notice.offset)
            self._changed.set()

    async def _look(self) -> None:
        """Say how far behind the target is, and once whether all has been read that was there at the start."""
        lag = 0
        is_caught_up = bool(self._partitions)
        for partition, first_end in list(self._ends.items()):
            place = TopicPartition(self._topic, partition)
            try:
                async with asyncio.timeout(POLL_SECONDS):
                    # The consumer's own: it passes marks of transactions, which are no records.
                    position = await self._consumer.position(place)
            except (TimeoutError, IllegalStateError):  # moving
                return
            lag += max(0, (self._consumer.highwater(place) or first_end) - position)
            # Behind an open transaction nothing can be read yet, and nothing has happened yet either.
            stable = self._consumer.last_stable_offset(place)
            is_caught_up = is_caught_up and position >= (first_end if stable is None else min(first_end, stable))
        self._metrics.lag.set(lag)
        if is_caught_up and not self._was_caught_up:
            self._was_caught_up = True
            self._sender.caught_up()

    # --- what is done

    async def _commit_again_and_again(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self._commit()

    async def _commit(self) -> None:
        notes = {
            TopicPartition(self._topic, partition): progress.note(self._sender.keep_from(partition))
            for partition, progress in self._partitions.items()
        }
        if not notes:
            return
        try:
            await self._consumer.commit(
                {place: OffsetAndMetadata(note.offset, note.metadata()) for place, note in notes.items()}
            )
        except (CommitFailedError, IllegalStateError) as error:
            # The partitions are another's by now, who delivers again what is not noted.
            log.warning("what is done could not be noted", target=self._name, error=str(error))
        except KafkaError as error:
            if not error.retriable:
                raise
            await asyncio.sleep(POLL_SECONDS)
            self._changed.set()

    # --- partitions come and go

    async def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:
        """Let requests under way end, note what is done, forget the rest."""
        partitions = [place.partition for place in revoked]
        await self._courier.release(partitions, REBALANCE_GRACE_SECONDS)
        await self._commit()
        for partition in partitions:
            self._partitions.pop(partition, None)
            self._ends.pop(partition, None)
            self._sender.forget(partition)
        self.is_ready = False

    async def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:
        """Go on where whoever had the partitions was."""
        try:
            firsts = await self._consumer.beginning_offsets(assigned)
            ends = await self._consumer.end_offsets(assigned)
            notes = await asyncio.gather(*(self._note(place, ends[place]) for place in assigned))
            for place, note in zip(assigned, notes, strict=True):
                progress = PartitionProgress(note, firsts[place])
                self._partitions[place.partition] = progress
                self._ends[place.partition] = ends[place]
                self._consumer.seek(place, progress.position)
        except Exception as error:  # aiokafka would log it and read on
            self._assignment_failure = error
            return
        self._was_caught_up = False
        self.is_ready = True
        self._changed.set()  # a new target's beginning is noted at once

    async def _note(self, place: TopicPartition, end: int) -> Note:
        found = Note.read(*await self._read_note(self._group, place))
        note = where_to_go_on(
            found, end, from_the_beginning=self._target.start == "beginning", hear_all=self._sender.hears_all
        )
        if note != found:
            log.info("a target begins", target=self._name, partition=place.partition, offset=note.offset)
        return note
