"""Deliver records in order and know how many of them, counted from the first without a gap, Kafka has acknowledged."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Final

from graph.errors import UserError
from streams.kafka.clients import kafka_client_config
from streams.kafka.security import KafkaSecurity

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message

LOT_RECORDS: Final = 2000
"""Records counted together: large enough to cost nothing, small enough that a crash repeats little."""

MAX_RECORD_BYTES: Final = 8 * 1024 * 1024
"""Longest record handed to the broker, which refuses far smaller ones by default and says so."""

_PRODUCER: Final = {
    # A repeat after a lost answer is dropped by the broker, and order within a partition holds through retries.
    "enable.idempotence": True,
    "acks": "all",
    # What Java and aiokafka do with a key; librdkafka's own choice is CRC32, which would tear cascades apart.
    "partitioner": "murmur2_random",
    "compression.type": "lz4",
    "linger.ms": 20,
    # A limit a batch, so that a record the broker refuses for its size takes no other down with it.
    "batch.size": 262_144,
    "batch.num.messages": 10_000,
    "queue.buffering.max.messages": 100_000,
    "queue.buffering.max.kbytes": 131_072,
    "message.max.bytes": MAX_RECORD_BYTES,
    # How long a broker may be away before the replay gives up; --resume goes on after that.
    "message.timeout.ms": 120_000,
}


class DeliveryError(UserError):
    """Kafka did not take a record."""


class _Lot:
    """Consecutive records: the position may pass none of them before all are acknowledged."""

    __slots__ = ("_tolerated", "answered", "failure", "refused", "sent")

    def __init__(self, tolerated: frozenset[int]) -> None:
        self._tolerated = tolerated
        self.sent = 0
        self.answered = 0
        self.refused = 0
        self.failure: KafkaError | None = None

    def delivered(self, error: KafkaError | None, message: Message | None) -> None:
        """The delivery callback of each of its records."""
        del message
        self.answered += 1
        if error is not None:
            if error.code() in self._tolerated:
                self.refused += 1
            else:
                self.failure = error


class OrderedDelivery:
    """An idempotent producer for one topic that counts its acknowledgements.

    Partitions answer in any order between each other, so records are counted by lots: `acknowledged` grows by
    a lot once that lot and all before it are answered for. With ``tolerate_refused`` a record that the broker
    finds too large is counted in `refused` and passed over; every other failure raises `DeliveryError`.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        topic: str,
        stop: threading.Event,
        *,
        tolerate_refused: bool,
        security: KafkaSecurity | None = None,
    ) -> None:
        """``security`` None: as configured."""
        from confluent_kafka import KafkaError, Producer

        self._producer = Producer({**kafka_client_config(bootstrap_servers, security), **_PRODUCER})
        self._where = f"{topic} at {bootstrap_servers}"
        self._topic = topic
        self._stop = stop
        self._tolerated = frozenset({KafkaError.MSG_SIZE_TOO_LARGE} if tolerate_refused else ())
        self._waiting: deque[_Lot] = deque()
        self._lot = _Lot(self._tolerated)
        self.acknowledged = 0
        self.refused = 0

    def send(self, key: bytes | None, value: bytes) -> bool:
        """Queue a record, waiting while the queue is full; False when told to stop before it was queued."""
        from confluent_kafka import KafkaException

        lot = self._lot
        while True:
            try:
                self._producer.produce(self._topic, value, key, on_delivery=lot.delivered)
                break
            except BufferError:
                self.serve(0.05)
                if self._stop.is_set():
                    return False
            except KafkaException as error:  # too large even for us: the client refuses at once
                lot.delivered(error.args[0], None)
                break
        lot.sent += 1
        if lot.sent >= LOT_RECORDS:
            self.close_lot()
            self.serve(0.0)
        return True

    def serve(self, seconds: float) -> None:
        """Take in what Kafka answered, waiting at most so long. Raises `DeliveryError`."""
        self._producer.poll(seconds)
        for lot in (*self._waiting, self._lot):
            if lot.failure is not None:
                raise DeliveryError(
                    f"a record was not taken by {self._where}: {lot.failure.str()}; "
                    "look at the broker, then go on with --resume"
                )
        while self._waiting and self._waiting[0].answered == self._waiting[0].sent:
            done = self._waiting.popleft()
            self.acknowledged += done.sent - done.refused
            self.refused += done.refused

    def close_lot(self) -> None:
        """Let the records sent so far be counted without waiting for a full lot."""
        if self._lot.sent:
            self._waiting.append(self._lot)
            self._lot = _Lot(self._tolerated)

    def settle(self) -> None:
        """Wait until every record sent is answered for. Raises `DeliveryError`."""
        self.close_lot()
        while len(self._producer):
            self._producer.flush(0.25)
            self.serve(0.0)
        self.serve(0.0)

    def send_to_each_partition(self, partitions: int, header: tuple[str, bytes]) -> None:
        """An empty record with one header to every partition, and wait for their acknowledgement."""
        lot = self._lot
        for partition in range(partitions):
            self._producer.produce(self._topic, b"", None, partition, on_delivery=lot.delivered, headers=[header])
        while len(self._producer):
            self._producer.flush(0.25)
        self.serve(0.0)
        self._lot = _Lot(self._tolerated)

    def abandon(self) -> None:
        """Forget what is still queued: the program is about to end on an error."""
        self._producer.purge()
        self._producer.poll(0.0)
