"""Reads the forecasts, alerts and dead letters that the workers publish."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import msgspec

from streams.alerts.records import AlertRecord
from streams.kafka.clients import kafka_client_config
from streams.kafka.security import KafkaSecurity
from streams.records import ForecastRecord

BATCH: Final = 1000

_CONSUMER: Final = {
    "enable.auto.commit": False,
    "auto.offset.reset": "earliest",
    "fetch.wait.max.ms": 100,
    "topic.metadata.refresh.interval.ms": 60_000,
}


@dataclass(slots=True)
class Batch:
    """What came in one poll."""

    forecasts: list[ForecastRecord] = field(default_factory=list)
    alerts: list[AlertRecord] = field(default_factory=list)
    dead_letters: int = 0


class Intake:
    """A consumer of all partitions from their beginning, outside any group: it shows, it shares no work."""

    def __init__(
        self, bootstrap_servers: str, prefix: str, partitions: int, security: KafkaSecurity | None = None
    ) -> None:
        """``security`` None: as configured."""
        from confluent_kafka import Consumer, TopicPartition

        self._forecasts, self._alerts = f"{prefix}.forecasts", f"{prefix}.alerts"
        dead_letters = f"{prefix}.dead-letters"
        config = {**kafka_client_config(bootstrap_servers, security), **_CONSUMER, "group.id": f"{prefix}-view"}
        self._consumer = Consumer(config)
        self._consumer.assign(
            [
                TopicPartition(topic, number, 0)
                for topic in (self._forecasts, self._alerts, dead_letters)
                for number in range(partitions)
            ]
        )
        self._decode = msgspec.json.Decoder(ForecastRecord).decode
        self._decode_alert = msgspec.json.Decoder(AlertRecord).decode

    def poll(self, seconds: float) -> Batch:
        """What is there within ``seconds``; a record of another schema is passed over."""
        batch = Batch()
        for message in self._consumer.consume(BATCH, seconds):
            if message.error() is not None:
                continue
            if message.topic() not in (self._forecasts, self._alerts):
                batch.dead_letters += 1
                continue
            try:
                if message.topic() == self._alerts:
                    batch.alerts.append(self._decode_alert(message.value() or b""))
                else:
                    batch.forecasts.append(self._decode(message.value() or b""))
            except msgspec.DecodeError:
                continue
        return batch

    def close(self) -> None:
        """Leave the cluster."""
        self._consumer.close()
