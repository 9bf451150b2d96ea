"""Records that could not be delivered: to the dead-letter topic, as they came, with the reason and the target."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from types import TracebackType
from typing import Any, Final, Protocol, Self

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from streams.alerts.delivery.notices import Original
from streams.kafka.dead_letters import reason_headers
from streams.kafka.groups import aiokafka_config
from streams.settings import Settings

log = structlog.get_logger("cascadecast.delivery")

TARGET_HEADER: Final = "target"

RETRY_SECONDS: Final = 5.0


class Undeliverable(StrEnum):
    """Why a record was not delivered."""

    UNREADABLE = "alert-unreadable"
    REFUSED = "alert-refused"
    GIVEN_UP = "alert-given-up"
    TOO_OLD = "alert-too-old"


class DeadLetterBox(Protocol):
    """Where records go that could not be delivered."""

    async def put(self, target: str, original: Original, reason: Undeliverable, message: str) -> None:
        """Returns once the letter is safe."""


class KafkaDeadLetterBox:
    """Publishes dead letters; used as an asynchronous context."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._source = f"{settings.topic_prefix}.alerts"
        self._topic = f"{settings.topic_prefix}.dead-letters"
        self._producer: AIOKafkaProducer | None = None

    async def __aenter__(self) -> Self:
        options: dict[str, Any] = {
            **aiokafka_config(self._settings),
            "acks": "all",
            "enable_idempotence": True,
            "compression_type": "lz4",
            "request_timeout_ms": int(self._settings.delivery_timeout_seconds * 1000),
        }
        self._producer = AIOKafkaProducer(**options)
        await self._producer.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._producer is not None
        await self._producer.stop()

    async def put(self, target: str, original: Original, reason: Undeliverable, message: str) -> None:
        """Publish, and wait for Kafka for as long as it takes: what is not safe is not done."""
        assert self._producer is not None
        headers = reason_headers(
            reason.value, message, self._source, original.partition, original.offset, original.published
        )
        headers.append((TARGET_HEADER, target.encode()))
        while True:
            try:
                await self._producer.send_and_wait(self._topic, original.value, key=original.key, headers=headers)
            except KafkaError as error:
                if not error.retriable:
                    raise
                log.warning("Kafka takes no dead letter; trying again", target=target, error=str(error))
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return
