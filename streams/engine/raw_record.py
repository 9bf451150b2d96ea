"""A record of the events topic as it came."""

from __future__ import annotations

import math

import msgspec


class Record(msgspec.Struct, frozen=True, gc=False):
    """Nothing of it is decoded yet."""

    value: bytes
    key: bytes | None = None
    watermark: float | None = None  # the control header, where there is one
    offset: int = -1
    timestamp: float = math.nan  # broker time, seconds
    heartbeat: bytes | None = None  # the header of a heartbeat, where there is one

    @property
    def is_heartbeat(self) -> bool:
        """Whether it is one: what has a value is meant as an event."""
        return self.heartbeat is not None and not self.value
