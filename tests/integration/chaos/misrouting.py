"""Records under wrong keys, in lots over the time of the replay: strays, and copies of what Kafka holds already."""

from __future__ import annotations

import random
from typing import Final

from confluent_kafka import Producer

from tests.integration.chaos.stream import ChaosStream, encoded

LOTS: Final = 12
COPIES_A_LOT: Final = 20


class Misrouting:
    """Sends a lot each time it is told how far the replay is; a copy must never come before its original."""

    def __init__(self, servers: str, prefix: str, stream: ChaosStream, seed: int) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": servers,
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "message.timeout.ms": 120_000,
                "log_level": 2,
            }
        )
        self._topic = f"{prefix}.events"
        self._stream = stream
        self._chance = random.Random(f"misrouting {seed}")
        self._strays = list(stream.strays)
        self._sent = 0

    def send_lots(self, acknowledged: int) -> None:
        """As many lots as the share of the lines that Kafka has."""
        due = LOTS * acknowledged // len(self._stream.lines)
        while self._sent < due:
            self._send_lot(acknowledged, last=self._sent == LOTS - 1)
            self._sent += 1
        self._producer.poll(0)

    def _send_lot(self, acknowledged: int, *, last: bool) -> None:
        count = len(self._strays) if last else len(self._stream.strays) // LOTS
        values = [encoded(self._strays.pop()) for _ in range(min(count, len(self._strays)))]
        values += [self._stream.lines[self._chance.randrange(acknowledged)] for _ in range(COPIES_A_LOT)]
        for value in values:
            key = None if self._chance.random() < 0.3 else f"wrong {self._chance.random()}"
            self._producer.produce(self._topic, value, key)

    def finish(self) -> None:
        """Until Kafka has them all."""
        left = self._producer.flush(60.0)
        assert left == 0, f"{left} misrouted records were not taken by Kafka"
