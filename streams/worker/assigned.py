"""A partition that this worker owns: its state and log, where its records go on, and when the last of them came."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from dataclasses import dataclass, field

from streams.alerts.standings import Withheld
from streams.engine.changes import Changes
from streams.engine.due import Skipped
from streams.engine.partition import Partition
from streams.scoring.learned import Learned
from streams.scoring.learning import Unscored
from streams.state.log import SegmentLog
from streams.worker.continuity import Continuity


@dataclass(slots=True)
class Told:
    """What the metrics have counted of a partition's own counts."""

    due: int = 0
    skipped: dict[Skipped, int] = field(default_factory=dict)
    unscored: dict[Unscored, int] = field(default_factory=dict)
    withheld_alerts: dict[tuple[str, Withheld], int] = field(default_factory=dict)
    missing: int = 0


@dataclass(slots=True)
class Assigned:
    """A partition this worker owns. Whoever applies records to it or moves its clock holds the ``lock``."""

    partition: Partition
    log: SegmentLog
    flow: Continuity
    arrivals: deque[tuple[float, float]] = field(default_factory=deque)  # (watermark reached, broker time of the batch)
    last_arrival_wall: float = field(default_factory=time.time)
    last_event_wall: float = field(default_factory=time.time)  # heartbeats left out: they end no idleness
    last_record_time: float = math.nan  # broker time of the last record taken in
    live: bool = False
    told: Told = field(default_factory=Told)
    shown: Learned | None = None  # by the metrics
    advancing: bool = False  # by the wall clock, which is not durable yet
    given_up: bool = False  # others own it, or it was read anew
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def write(self, changes: Changes) -> int:
        """Make durable what records or the wall clock did, and up to where records are done; returns the bytes.

        Nothing once it was given up: what was applied last may not be durable, and this would say that it is.
        """
        if self.given_up:
            return 0
        return await self.log.append(self.partition, changes, self.flow.position)

    def look_whether_live(self, within_seconds: float) -> None:
        """Whether its events are of the present."""
        self.live = self.partition.watermark.is_live(time.time(), within_seconds)

    def note_arrival(self, broker_time: float) -> None:
        """A batch of events is durable, the last of which came to Kafka at this time."""
        reached = self.partition.watermark.value
        if not self.arrivals or reached > self.arrivals[-1][0]:
            self.arrivals.append((reached, broker_time))

    def arrival_after(self, as_of: float) -> float:
        """Broker time of the batch that moved the watermark beyond ``as_of``; NaN where it is not known.

        Asked in about the order of as_of: what lies before it is forgotten.
        """
        while self.arrivals and self.arrivals[0][0] <= as_of:
            self.arrivals.popleft()
        return self.arrivals[0][1] if self.arrivals else math.nan
