"""The live cascades of one partition: which are kept, and when they leave.

Everything is a function of the sequence of events and watermarks, so a partition replayed gives the same cascades.
"""

from __future__ import annotations

import enum
import heapq
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from math import floor
from typing import Any, Final

from graph.cascade import MAX_EVENTS, Cascade, Outcome, regular_bytes
from graph.departed import Departed
from graph.dormant import Dormant
from graph.events import Event
from graph.identity import key_of

RETENTION_SECONDS: Final = 25 * 3600.0
"""A day to the usual horizon and an hour for late events."""

MAX_LIVE_CASCADES: Final = 1_000_000
MAX_DEPARTED: Final = 1_000_000

MAX_AHEAD: Final = 10_000
"""Cascades born ahead of the clock: ten times what a genuine jump of the clock takes (`graph.watermark`)."""

_BUCKET_SECONDS: Final = 60.0
_EVICTED_SHARE: Final = 16
"""When the store is full, one in so many leaves at once: finding out who goes first looks at all of them."""

_IDLE_SHARE: Final = 0.5
"""A cascade that was silent for the latter half of its life counts as idle where room is needed."""


class Departure(enum.StrEnum):
    """Why a cascade left memory."""

    MATURED = "matured"
    IDLE = "idle"
    EVICTED = "evicted"


class CascadeStore:
    """Live cascades by id.

    A cascade leaves once the watermark has passed its root's time plus ``retention_seconds`` (matured), after
    ``idle_seconds`` without a new node if given (idle), or when ``max_live_cascades`` or ``max_bytes`` are exceeded
    (evicted): withdrawn ones first, then those born ahead of the clock, the matured, the idle, and the smallest. The
    ids of the last ``max_departed`` that left (at least half as many) are remembered: their later events are LATE. So
    is an event that is older than its cascade's retention.

    A restored cascade may be dormant. Whoever asks for it gets it awake; in everything else it is as the others are.
    """

    def __init__(
        self,
        *,
        retention_seconds: float = RETENTION_SECONDS,
        idle_seconds: float | None = None,
        max_live_cascades: int = MAX_LIVE_CASCADES,
        max_events_per_cascade: int = MAX_EVENTS,
        max_departed: int = MAX_DEPARTED,
        max_bytes: float = math.inf,
        max_ahead: int = MAX_AHEAD,
    ) -> None:
        if not retention_seconds > 0:
            raise ValueError(f"retention_seconds must be positive, not {retention_seconds}")
        if idle_seconds is not None and not idle_seconds > 0:
            raise ValueError(f"idle_seconds must be positive or None, not {idle_seconds}")
        if max_live_cascades < 1:
            raise ValueError(f"max_live_cascades must be at least 1, not {max_live_cascades}")
        self.retention_seconds = retention_seconds
        self.idle_seconds = math.inf if idle_seconds is None else idle_seconds
        self._may_idle = idle_seconds is not None
        self.max_live_cascades = max_live_cascades
        self.max_events_per_cascade = max_events_per_cascade
        self.max_bytes = max_bytes
        self.max_ahead = max_ahead
        self.bytes = 0
        self.departures: Counter[Departure] = Counter()
        self._live: dict[str, Cascade | Dormant] = {}
        self._departed = Departed(max_departed)
        # A calendar queue: who may leave within a minute, under the minute's number. Entries may be out of date.
        self._due: dict[int, list[str]] = {}
        self._minutes: list[int] = []  # heap of the keys of _due
        self._evicted: list[Cascade] = []
        self._ahead: set[str] = set()  # ids of cascades that were born ahead of the clock, and of some that are gone

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[Cascade]:
        return map(self._awake, list(self._live.values()))

    def __contains__(self, cascade_id: str) -> bool:
        return cascade_id in self._live

    def get(self, cascade_id: str) -> Cascade | None:
        """The live cascade of that id."""
        cascade = self._live.get(cascade_id)
        return self._awake(cascade) if isinstance(cascade, Dormant) else cascade

    def stored(self, cascade_id: str) -> Any:
        """`Cascade.stored` of the live cascade of that id, None without one; it may sleep on."""
        cascade = self._live.get(cascade_id)
        return None if cascade is None else cascade.stored

    def _awake(self, cascade: Cascade | Dormant) -> Cascade:
        if isinstance(cascade, Cascade):
            return cascade
        awake = self._live[cascade.id] = cascade.wake(max_events=self.max_events_per_cascade)
        return awake

    def apply(self, event: Event, watermark: float = -math.inf) -> Outcome:
        """Give ``event`` to its cascade, which it starts if need be; ``watermark`` as in `Cascade.apply`."""
        cascade = self._live.get(event.cascade)
        if cascade is None:
            return self._start(event, watermark)
        if isinstance(cascade, Dormant):
            cascade = self._awake(cascade)
        root_time = cascade.root_time
        time = event.time
        matures = root_time + self.retention_seconds
        if time > matures or matures < watermark or (self._may_idle and self.leaves_at(cascade) < watermark):
            return Outcome.LATE
        # Nearly always the cascade becomes one node longer: cheaper to see than to reckon its bytes twice.
        keys, layout, followers, irregular = len(cascade._keys), cascade._layout, cascade._followers, cascade._irregular
        before = cascade.memory_bytes if irregular is not None else None
        outcome = cascade.apply(event, watermark)
        if cascade._layout is layout and cascade._followers is followers and cascade._irregular is None:
            if len(cascade._keys) != keys:
                self.bytes += cascade.node_bytes
        else:
            if before is None:
                before = regular_bytes(keys >> 3, layout, followers is not None)
            self.bytes += cascade.memory_bytes - before
        if time < root_time:
            self._enqueue(cascade)
        if self.bytes > self.max_bytes:
            self._make_room(watermark)
        return outcome

    def _start(self, event: Event, watermark: float) -> Outcome:
        if event.time + self.retention_seconds < watermark or key_of(event.cascade) in self._departed:
            return Outcome.LATE
        cascade = Cascade(event.cascade, max_events=self.max_events_per_cascade)
        outcome = cascade.apply(event, watermark)
        if outcome is Outcome.APPLIED:
            self.insert(cascade, watermark)
        return outcome

    def insert(self, cascade: Cascade | Dormant, watermark: float = -math.inf) -> None:
        """Take in a new or restored cascade; one of the same id is replaced."""
        replaced = self._live.get(cascade.id)
        if replaced is not None:
            self.bytes -= replaced.memory_bytes
        elif len(self._live) >= self.max_live_cascades:
            self._make_room(watermark)
        self._live[cascade.id] = cascade
        self.bytes += cascade.memory_bytes
        self._enqueue(cascade)
        if self.bytes > self.max_bytes:
            self._make_room(watermark)

    def restore(self, cascades: Iterable[Cascade | Dormant], watermark: float) -> None:
        """`insert` many, of ids that are not here yet, and make room once they are all there."""
        live, retention, may_idle = self._live, self.retention_seconds, self._may_idle
        due: dict[int, list[str]] = {}
        for cascade in cascades:
            live[cascade.id] = cascade
            self.bytes += cascade.memory_bytes
            leaves_at = self.leaves_at(cascade) if may_idle else cascade.root_time + retention
            due.setdefault(floor(leaves_at / _BUCKET_SECONDS), []).append(cascade.id)
        for minute, ids in due.items():
            self._due.setdefault(minute, []).extend(ids)
        self._minutes = list(self._due)
        heapq.heapify(self._minutes)
        if self.bytes > self.max_bytes or len(live) > self.max_live_cascades:
            self._make_room(watermark)

    def born_after(self, time: float) -> list[str]:
        """The cascades whose root time lies after event time ``time`` (s)."""
        return [cascade.id for cascade in self._live.values() if cascade.root_time > time]

    def note_ahead(self, cascade_id: str, believed_until: float) -> None:
        """A cascade's root lies beyond what the clock believes (s). Of more than ``max_ahead`` such, those farthest
        ahead are evicted: the clock may never come there."""
        self._ahead.add(cascade_id)
        if len(self._ahead) <= self.max_ahead:
            return
        ahead = [
            cascade
            for cascade in map(self._live.get, self._ahead)
            if cascade is not None and cascade.root_time > believed_until
        ]
        self._ahead = {cascade.id for cascade in ahead}
        if len(ahead) > self.max_ahead:
            excess = len(ahead) - self.max_ahead + self.max_ahead // _EVICTED_SHARE
            for cascade in heapq.nlargest(excess, ahead, key=lambda cascade: (cascade.root_time, cascade.id)):
                self._evict(cascade)

    def mature(self, watermark: float) -> list[Cascade]:
        """Let go whoever is to leave by ``watermark``; all that left since the last call, evicted ones first."""
        evicted, self._evicted = self._evicted, []
        leaving: dict[str, Cascade | Dormant] = {}
        stay: dict[str, Cascade | Dormant] = {}
        while self._minutes and self._minutes[0] * _BUCKET_SECONDS <= watermark:
            for cascade_id in self._due.pop(heapq.heappop(self._minutes)):
                cascade = self._live.get(cascade_id)
                if cascade is not None:
                    (leaving if self.leaves_at(cascade) < watermark else stay)[cascade_id] = cascade
        for cascade in stay.values():
            self._enqueue(cascade)
        # Their order in the queue tells when it was last looked at; the order returned must not.
        left = [self._awake(cascade) for cascade in sorted(leaving.values(), key=self._order_of_leaving)]
        for cascade in left:
            matured = cascade.root_time + self.retention_seconds < watermark
            self._depart(cascade, Departure.MATURED if matured else Departure.IDLE)
        return evicted + left

    def remember_departed(self, cascade_id: str) -> None:
        """Treat a cascade as one that left, as after a restart."""
        self._departed.add(key_of(cascade_id))

    def has_departed(self, cascade_id: str) -> bool:
        """Whether a cascade left and is remembered."""
        return key_of(cascade_id) in self._departed

    def leaves_at(self, cascade: Cascade | Dormant) -> float:
        """The cascade leaves when the watermark passes this event time."""
        leaves_at = cascade.root_time + self.retention_seconds
        if not self._may_idle:
            return leaves_at
        return min(leaves_at, max(cascade.last_time, cascade.root_time) + self.idle_seconds)

    def _order_of_leaving(self, cascade: Cascade | Dormant) -> tuple[float, str]:
        return self.leaves_at(cascade), cascade.id

    def _enqueue(self, cascade: Cascade | Dormant) -> None:
        minute = floor(self.leaves_at(cascade) / _BUCKET_SECONDS)
        due = self._due.get(minute)
        if due is None:
            self._due[minute] = [cascade.id]
            heapq.heappush(self._minutes, minute)
        else:
            due.append(cascade.id)

    def _depart(self, cascade: Cascade, reason: Departure) -> None:
        del self._live[cascade.id]
        self.bytes -= cascade.memory_bytes
        self._departed.add(key_of(cascade.id))
        self.departures[reason] += 1

    def _make_room(self, watermark: float) -> None:
        """Evict one cascade in `_EVICTED_SHARE`, and as many more as the bounds ask for."""
        keep = self.max_bytes * (1 - 1 / _EVICTED_SHARE)
        excess = len(self._live) - self.max_live_cascades
        number = excess + max(1, self.max_live_cascades // _EVICTED_SHARE) if excess >= 0 else 0
        heap = [(*self._order_of_eviction(cascade, watermark), cascade) for cascade in self._live.values()]
        heapq.heapify(heap)
        while heap and (number > 0 or self.bytes > keep):
            self._evict(heapq.heappop(heap)[-1])
            number -= 1

    def _order_of_eviction(self, cascade: Cascade | Dormant, watermark: float) -> tuple[int, float, float, str]:
        """Who goes first: a rank, then what is least worth keeping within it."""
        last = cascade.last_time
        if cascade.withdrawn_at < math.inf:
            return 0, 0, last, cascade.id
        if watermark > -math.inf and cascade.root_time > watermark + self.retention_seconds:
            return 1, 0, -cascade.root_time, cascade.id
        if self.leaves_at(cascade) < watermark:
            return 2, 0, last, cascade.id
        if watermark - last > _IDLE_SHARE * (watermark - cascade.root_time):
            return 3, 0, last, cascade.id
        return 4, cascade.size, last, cascade.id

    def _evict(self, cascade: Cascade | Dormant) -> None:
        awake = self._awake(cascade)
        self._depart(awake, Departure.EVICTED)
        self._evicted.append(awake)
