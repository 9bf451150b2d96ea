"""When a forecast of an updated cascade is due: a function of event times alone.

Event time is cut into slots of the forecast delay, shifted by a phase of the cascade's own so that cascades do not
fall due all at once. An event makes its cascade due at the end of its slot; further events of the slot change
nothing but the last event named. It is made once the watermark has passed that time: at the watermark itself more
events of the same instant may still come. So the same events give the same forecasts whatever the batches, the
partitions and the wall clock were.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Collection

import msgspec
from xxhash import xxh3_64_intdigest


def slot_end(cascade: str, time: float, delay_seconds: float) -> float:
    """The first slot end at or after ``time``: a time in whole milliseconds."""
    return _slot_end(cascade, time, _milliseconds(delay_seconds))


def _milliseconds(delay_seconds: float) -> int:
    return max(1, round(delay_seconds * 1000))


def _slot_end(cascade: str, time: float, delay: int) -> float:
    """`slot_end` for a delay in milliseconds."""
    instant = math.ceil(time * 1000 - 1e-3)  # a time of whole milliseconds must not be lifted by its binary error
    # The cascade's phase is its hash modulo the delay, so this is how far its slot has gone.
    gone = (instant - xxh3_64_intdigest(cascade.encode("utf-8", "surrogatepass"))) % delay
    end = instant - gone + delay if gone else instant
    return end / 1000 if end / 1000 >= time else (end + delay) / 1000


class Pending(msgspec.Struct, gc=False):
    """A forecast to be made once the watermark has passed ``as_of``."""

    cascade: str
    as_of: float
    event_time: float
    event: str


class Schedule:
    """The forecasts of one partition that are not made yet, in the order in which they fall due."""

    def __init__(self, delay_seconds: float) -> None:
        self._delay = _milliseconds(delay_seconds)
        # Two heaps of (as_of, cascade), so that how many are due need not be counted: what lies before `_parted_at` is
        # in `_due`, the rest in `_later`.
        self._due: list[tuple[float, str]] = []
        self._later: list[tuple[float, str]] = []
        self._parted_at = -math.inf
        self._pending: dict[tuple[float, str], Pending] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def update(self, cascade: str, effective_time: float, event_time: float, event: str) -> Pending:
        """Note that ``cascade`` gained an event which forecasts can see from ``effective_time`` on."""
        as_of = _slot_end(cascade, effective_time, self._delay)
        known = self._pending.get((as_of, cascade))
        if known is None:
            return self.restore(Pending(cascade, as_of, event_time, event))
        if (event_time, event) > (known.event_time, known.event):
            known.event_time, known.event = event_time, event
        return known

    def restore(self, pending: Pending) -> Pending:
        """Put in a pending forecast; of two for the same slot, the later event (then the greater id) is named."""
        key = (pending.as_of, pending.cascade)
        known = self._pending.get(key)
        if known is None:
            heapq.heappush(self._due if pending.as_of < self._parted_at else self._later, key)
            self._pending[key] = pending
            return pending
        if (pending.event_time, pending.event) > (known.event_time, known.event):
            known.event_time, known.event = pending.event_time, pending.event
        return known

    def due(self, watermark: float, limit: int | None = None) -> list[Pending]:
        """Take what is due at ``watermark``, oldest first, at most ``limit``."""
        taken: list[Pending] = []
        for heap in (self._due, self._later):
            while heap and heap[0][0] < watermark and (limit is None or len(taken) < limit):
                taken.append(self._pending.pop(heapq.heappop(heap)))
        return taken

    def forget(self, cascades: Collection[str]) -> int:
        """Drop what is pending of ``cascades`` (a pass over all that is pending); returns how many were dropped."""
        before = len(self._pending)
        self._pending = {key: pending for key, pending in self._pending.items() if pending.cascade not in cascades}
        for heap in (self._due, self._later):
            heap[:] = [key for key in heap if key in self._pending]
            heapq.heapify(heap)
        return before - len(self._pending)

    def due_most_promising(
        self, watermark: float, limit: int, promise: Callable[[str], float]
    ) -> tuple[list[Pending], list[Pending]]:
        """Under overload: of each cascade only the latest due forecast counts, the most promising cascades first.

        Returns what to make now (at most ``limit``) and what was superseded; the rest waits on.
        """
        latest: dict[str, Pending] = {}
        superseded: list[Pending] = []
        for pending in self.due(watermark):
            if pending.cascade in latest:
                superseded.append(latest[pending.cascade])
            latest[pending.cascade] = pending
        ranked = sorted(
            latest.values(), key=lambda pending: (-promise(pending.cascade), pending.as_of, pending.cascade)
        )
        for waiting in ranked[limit:]:
            self.restore(waiting)
        return ranked[:limit], superseded

    def due_count(self, watermark: float) -> int:
        """How many are due and wait; ``watermark`` does not go back."""
        if watermark > self._parted_at:
            self._parted_at = watermark
            while self._later and self._later[0][0] < watermark:
                heapq.heappush(self._due, heapq.heappop(self._later))
        return len(self._due)

    def is_due(self, watermark: float) -> bool:
        """Whether any forecast is due."""
        return self.next_as_of() < watermark

    def next_as_of(self) -> float:
        """When the next forecast falls due; infinity when none is pending."""
        heap = self._due or self._later
        return heap[0][0] if heap else math.inf

    def all_pending(self) -> list[Pending]:
        """All pending forecasts, in the order in which they fall due."""
        return [self._pending[key] for key in sorted(self._pending)]
