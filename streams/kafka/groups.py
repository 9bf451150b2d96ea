"""Settings of our aiokafka clients, and what a consumer group has noted beside its offsets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupLoadInProgressError, KafkaError

from streams.settings import Settings

RETRY_SECONDS: Final = 0.2
"""Before Kafka is asked again what it could not answer yet."""


def aiokafka_config(settings: Settings) -> dict[str, Any]:
    """Settings common to all our aiokafka clients."""
    return {
        "bootstrap_servers": [server.strip() for server in settings.bootstrap_servers.split(",")],
        "client_id": "cascadecast",
        **settings.kafka_security().aiokafka(),
    }


def committed_reader(settings: Settings) -> Callable[[str, TopicPartition], Awaitable[tuple[int, str]]]:
    """Reads a group's committed offset and its metadata; the offset is negative where there is none."""

    async def read(group: str, place: TopicPartition) -> tuple[int, str]:
        # Not by librdkafka: its Python client reads metadata beyond their end.
        admin = AIOKafkaAdminClient(**aiokafka_config(settings))
        await admin.start()
        deadline = time.monotonic() + settings.delivery_timeout_seconds
        try:
            while True:
                try:
                    found = (await admin.list_consumer_group_offsets(group, partitions=[place])).get(place)
                    # Left out of the answer while the coordinator loads, which aiokafka does not report.
                    if found is not None:
                        return found.offset, found.metadata
                    refusal: KafkaError = GroupLoadInProgressError()
                except KafkaError as error:  # the group's coordinator may still have to be found
                    refusal = error
                if not refusal.retriable or time.monotonic() > deadline:
                    raise refusal
                await asyncio.sleep(RETRY_SECONDS)
        finally:
            await admin.close()

    return read
