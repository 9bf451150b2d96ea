"""The dead letter of a record that is no event: its bytes untouched, the reason in the headers."""

from __future__ import annotations

from graph import Rejected
from streams.partition import Record

MAX_MESSAGE_BYTES = 1000


def dead_letter_headers(record: Record, rejected: Rejected, topic: str, partition: int) -> list[tuple[str, bytes]]:
    """Headers of the dead letter: error kind and message, source topic, partition, offset, time (broker's, seconds)."""
    return [
        ("error-kind", rejected.reason.value.encode()),
        ("error-message", rejected.message.encode("utf-8", "replace")[:MAX_MESSAGE_BYTES]),
        ("source-topic", topic.encode()),
        ("source-partition", str(partition).encode()),
        ("source-offset", str(record.offset).encode()),
        ("source-time", f"{record.timestamp:.3f}".encode()),
    ]
