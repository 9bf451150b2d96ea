"""What a batch of records did to a partition."""

from __future__ import annotations

import enum
from collections import Counter
from dataclasses import dataclass, field

from graph import Cascade, Departure, Rejected
from streams.engine.raw_record import Record
from streams.engine.schedule import Pending


class Fate(enum.StrEnum):
    """What became of a record; every record meets exactly one fate."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"
    LATE = "late"
    DEAD_LETTERED = "dead-lettered"
    REKEYED = "rekeyed"
    CONTROL = "control"
    HEARTBEAT = "heartbeat"


@dataclass(slots=True)
class Changes:
    """What a batch did: the fates of its records, and what has to be made durable."""

    fates: Counter[Fate] = field(default_factory=Counter)
    dead: list[tuple[Record, Rejected]] = field(default_factory=list)
    misrouted: list[tuple[Record, str]] = field(default_factory=list)
    touched: dict[str, None] = field(default_factory=dict)  # an ordered set of cascade ids
    pending: list[Pending] = field(default_factory=list)
    left: list[tuple[str, float]] = field(default_factory=list)  # cascade id, event time at which it left
    departed: list[Cascade] = field(default_factory=list)  # the same, as they were when they left
    departures: Counter[Departure] = field(default_factory=Counter)  # cascades that left, evicted ones included
    late_applied: int = 0  # applied, but behind the watermark
    counted_only: int = 0  # applied to a cascade that keeps no more events
    ahead: int = 0  # of times that the clock did not believe yet
    heartbeats: list[bytes] = field(default_factory=list)
