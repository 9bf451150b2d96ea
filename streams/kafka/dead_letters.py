"""Dead letters: the bytes of a record untouched, the reason in the headers."""

from __future__ import annotations

from graph import Rejected
from streams.engine.raw_record import Record

MAX_MESSAGE_BYTES = 1000


def dead_letter_headers(record: Record, rejected: Rejected, topic: str, partition: int) -> list[tuple[str, bytes]]:
    """Headers of the dead letter of a record that is no event."""
    return reason_headers(rejected.reason.value, rejected.message, topic, partition, record.offset, record.timestamp)


def reason_headers(
    kind: str, message: str, topic: str, partition: int, offset: int, time: float
) -> list[tuple[str, bytes]]:
    """Error kind and message, source topic, partition, offset, time (broker's, seconds)."""
    return [
        ("error-kind", kind.encode()),
        ("error-message", message.encode("utf-8", "replace")[:MAX_MESSAGE_BYTES]),
        ("source-topic", topic.encode()),
        ("source-partition", str(partition).encode()),
        ("source-offset", str(offset).encode()),
        ("source-time", f"{time:.3f}".encode()),
    ]
