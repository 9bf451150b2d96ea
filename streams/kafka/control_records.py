"""Records of the events topic that are no events: marks of time, and heartbeats. Each is empty and has a header."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

WATERMARK_HEADER: Final = "cascadecast-watermark"
"""On an empty record of the events topic: no event of that partition before this event time will follow."""

HEARTBEAT_HEADER: Final = "cascadecast-heartbeat"
"""On an empty record of the events topic: a worker's question whether the way through its partition is open. Whoever
reads events steps over it."""


class Control(NamedTuple):
    """What the headers of a record say, where it is empty."""

    watermark: float | None = None
    heartbeat: bytes | None = None


def read_control(headers: Iterable[tuple[str, Any]] | None) -> Control:
    """What they say. A heartbeat marks no time, whatever else is said; a mark that is no number is none."""
    found = dict(headers or ())
    if (heartbeat := found.get(HEARTBEAT_HEADER)) is not None:
        return Control(heartbeat=heartbeat)
    try:
        return Control(watermark=float(found[WATERMARK_HEADER]))
    except (KeyError, TypeError, ValueError):
        return Control()


def heartbeat_headers(token: bytes) -> list[tuple[str, bytes]]:
    """Of a heartbeat. A reader that knows only marks of time finds one that moves no clock, and no dead letter."""
    return [(WATERMARK_HEADER, b"0"), (HEARTBEAT_HEADER, token)]
