"""What would be delivered, without delivering it or noting anything."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.alerts.delivery.intake import group_name, original_of
from streams.alerts.delivery.metrics import DeliveryMetrics
from streams.alerts.delivery.notices import Notice, UnreadableError, decode_alert
from streams.alerts.delivery.posting import Request
from streams.alerts.delivery.progress import Note
from streams.alerts.delivery.senders import new_sender
from streams.alerts.delivery.targets_file import NamedTarget, TargetsFile
from streams.kafka.groups import aiokafka_config, committed_reader
from streams.settings import Settings

_SECRET_HEADERS = ("Authorization",)


async def preview(
    settings: Settings, file: Path, targets: TargetsFile, partitions: int
) -> AsyncIterator[dict[str, Any]]:
    """Each request as it would be made now, for every record in Kafka that is not done, target by target.

    ``partitions`` is how many the alerts topic has.
    Of a target that was never told anything: for all that Kafka holds. Records are not collapsed or given up.
    """
    metrics = DeliveryMetrics()
    for named in targets.targets:
        async with new_sender(named, targets.links, metrics.of(named.name), file) as sender:
            async for notice in _undone(settings, named, partitions):
                for request in sender.requests(notice, time.time()):
                    yield _shown(named, request)


async def _undone(settings: Settings, named: NamedTarget, partitions: int) -> AsyncIterator[Notice]:
    """The records that the target wants and that are not done, up to where the topic ends now."""
    topic = f"{settings.topic_prefix}.alerts"
    consumer = AIOKafkaConsumer(
        **aiokafka_config(settings), auto_offset_reset="earliest", isolation_level="read_committed"
    )
    await consumer.start()
    try:
        places = [TopicPartition(topic, number) for number in range(partitions)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        read = committed_reader(settings)
        for place in places:
            note = Note.read(*await read(group_name(settings.app_id, named.name), place))
            async for notice in _of_partition(consumer, place, note, ends[place]):
                record = notice.record
                if named.target.wants(record.rule, record.severity) and record.state in named.target.states:
                    yield notice
    finally:
        await consumer.stop()


async def _of_partition(
    consumer: AIOKafkaConsumer, place: TopicPartition, note: Note, end: int
) -> AsyncIterator[Notice]:
    consumer.seek(place, max(0, note.offset))
    while await consumer.position(place) < end:
        for message in (await consumer.getmany(place, timeout_ms=500)).get(place, ()):
            if message.offset >= end or note.is_done(message.offset):
                continue
            original = original_of(message)
            try:
                yield Notice(decode_alert(original.value), original)
            except UnreadableError:
                continue  # would become a dead letter


def _shown(named: NamedTarget, request: Request) -> dict[str, Any]:
    """The request without its secrets."""
    headers = {name: value for name, value in request.headers.items() if name not in _SECRET_HEADERS}
    return {
        "target": named.name,
        "url": request.shown_url,
        "headers": headers,
        "body": msgspec.json.decode(request.body),
    }
