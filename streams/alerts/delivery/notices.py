"""A record of the alerts topic on its way to one target."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import msgspec

from streams.alerts.records import ALERT_VERSION, AlertRecord


@dataclass(frozen=True, slots=True)
class Original:
    """The record as it came; ``published`` is Kafka's time of it, seconds of wall time."""

    partition: int
    offset: int
    published: float
    key: bytes | None
    value: bytes


@dataclass(slots=True, eq=False)
class Notice:
    """What the record says, and where it stands."""

    record: AlertRecord
    original: Original
    superseded: bool = False  # a newer record of the same alert has come

    @property
    def partition(self) -> int:
        """Of the alerts topic."""
        return self.original.partition

    @property
    def offset(self) -> int:
        """In the partition."""
        return self.original.offset

    @property
    def published(self) -> float:
        """When it came to Kafka, seconds of wall time."""
        return self.original.published

    def late_by(self, now: float, late_seconds: float) -> float | None:
        """Seconds since it came to Kafka, where these are many."""
        age = now - self.published
        return age if age >= late_seconds else None


_ID = re.compile(r"[!-~]{1,200}")
"""Ids stand in headers of requests."""


class UnreadableError(Exception):
    """The bytes are no alert record; the message says why."""


def decode_alert(value: bytes) -> AlertRecord:
    """Raises `UnreadableError`."""
    try:
        record = msgspec.json.decode(value, type=AlertRecord)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableError(str(error)) from None
    if record.v != ALERT_VERSION:
        raise UnreadableError(f"version {record.v} of an alert record; this program reads version {ALERT_VERSION}")
    if not all(_ID.fullmatch(one) for one in (record.id, record.alert)):
        raise UnreadableError("id and alert must be 1 to 200 visible ASCII characters")
    times = (record.as_of, record.opened_as_of)
    if not all(0.0 <= time < 253_402_300_800.0 for time in times):  # the year 10000
        raise UnreadableError("as_of and opened_as_of must be times of the years 1970 to 9999")
    numbers = (record.age_seconds, record.expected, record.low, record.high, record.horizon_seconds)
    if not all(math.isfinite(number) for number in numbers):
        raise UnreadableError("numbers must be finite")
    return record
