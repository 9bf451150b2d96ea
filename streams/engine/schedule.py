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
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final

import msgspec
from xxhash import xxh3_64_intdigest

LEAST_COMPACTED: Final = 1024
"""So many keys that were passed over do not matter."""

Waiting = tuple[str, float, float]
"""A cascade, the as_of of its forecast that is due, and how long the cascade waits (s)."""

Choice = Callable[[Iterable[Waiting]], list[str]]
"""Of cascades that wait, those whose forecasts are to be taken now."""

Ended = Callable[[str, float], bool]
"""Whether no forecast of a cascade is made as of a time, since its horizon is reached then."""


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


@dataclass(slots=True)
class _Wait:
    """A cascade of which forecasts are due: since when the oldest and the newest of them are, and their times."""

    since: float
    newest_since: float
    due: list[float]  # as_of


class Schedule:
    """The forecasts of one partition that are not made yet, in the order in which they fall due."""

    def __init__(self, delay_seconds: float, clock: Callable[[], float] = lambda: 0.0) -> None:
        """``clock`` tells how long what is due waits (s); it decides nothing but what comes first under overload."""
        self._delay = _milliseconds(delay_seconds)
        self._clock = clock
        # Two heaps of (as_of, cascade), so that how many are due need not be counted: what lies before `_parted_at` is
        # in `_due`, the rest in `_later`. A key that is not pending any more is passed over when it comes to the top.
        self._due: list[tuple[float, str]] = []
        self._later: list[tuple[float, str]] = []
        self._parted_at = -math.inf
        self._pending: dict[tuple[float, str], Pending] = {}
        self._due_number = 0
        self._waits: dict[str, _Wait] = {}  # about in the order in which they began
        self._repeated: dict[str, None] = {}  # cascades of which several are due

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
            self._pending[key] = pending
            if pending.as_of < self._parted_at:
                self._fall_due(key, self._clock())
            else:
                heapq.heappush(self._later, key)
            return pending
        if (pending.event_time, pending.event) > (known.event_time, known.event):
            known.event_time, known.event = pending.event_time, pending.event
        return known

    def _fall_due(self, key: tuple[float, str], now: float) -> None:
        as_of, cascade = key
        heapq.heappush(self._due, key)
        self._due_number += 1
        wait = self._waits.get(cascade)
        if wait is None:
            self._waits[cascade] = _Wait(now, now, [as_of])
        else:
            wait.newest_since = now
            wait.due.append(as_of)
            self._repeated[cascade] = None

    def _part(self, watermark: float) -> None:
        """Let fall due what lies before ``watermark``, which does not go back."""
        if watermark <= self._parted_at:
            return
        self._parted_at = watermark
        now = self._clock() if self._later and self._later[0][0] < watermark else 0.0
        while self._later and self._later[0][0] < watermark:
            self._fall_due(heapq.heappop(self._later), now)

    def _take(self, key: tuple[float, str]) -> Pending:
        """Take one that is due, wherever it lies in the heap; what else is due of its cascade has waited less."""
        wait = self._waits[key[1]]
        taken = self._remove(key)
        if len(wait.due) == 1:
            wait.since = wait.newest_since
        return taken

    def _remove(self, key: tuple[float, str]) -> Pending:
        """Take one that is due; its cascade, if more of it is, waits on since when it did."""
        as_of, cascade = key
        self._due_number -= 1
        wait = self._waits[cascade]
        wait.due.remove(as_of)
        if not wait.due:
            del self._waits[cascade]
        elif len(wait.due) == 1:
            self._repeated.pop(cascade, None)
        return self._pending.pop(key)

    def _first_due(self) -> tuple[float, str] | None:
        heap = self._due
        while heap and heap[0] not in self._pending:
            heapq.heappop(heap)
        return heap[0] if heap else None

    def due(self, watermark: float, limit: int | None = None) -> list[Pending]:
        """Take what is due at ``watermark``, oldest first, at most ``limit``."""
        self._part(watermark)
        taken: list[Pending] = []
        while (limit is None or len(taken) < limit) and (first := self._first_due()) is not None:
            if first[0] >= watermark:
                break
            heapq.heappop(self._due)
            taken.append(self._take(first))
        return taken

    def forget(self, cascades: Collection[str]) -> int:
        """Drop what is pending of ``cascades`` (a pass over all that is pending); returns how many were dropped."""
        before = len(self._pending)
        self._pending = {key: pending for key, pending in self._pending.items() if pending.cascade not in cascades}
        for heap in (self._due, self._later):
            heap[:] = [key for key in heap if key in self._pending]
            heapq.heapify(heap)
        for cascade in cascades:
            self._waits.pop(cascade, None)
            self._repeated.pop(cascade, None)
        self._due_number = len(self._due)
        return before - len(self._pending)

    def due_by_choice(
        self, watermark: float, choose: Choice, has_ended: Ended = lambda _, as_of: False
    ) -> tuple[list[Pending], list[Pending]]:
        """Under overload: of each cascade only the latest due forecast counts, and ``choose`` says which come first.

        The latest that is made: one that ``has_ended`` replaces none, and is taken at once. ``choose`` is given the
        cascades that wait, about those first that wait longest; a cascade waits since the first of what was superseded
        fell due. Returns what to make now and what was superseded; the rest waits on.
        """
        self._part(watermark)
        taken: list[Pending] = []
        superseded: list[Pending] = []
        for cascade in list(self._repeated):
            due = sorted(self._waits[cascade].due)
            while len(due) > 1 and has_ended(cascade, due[-1]):
                taken.append(self._remove((due.pop(), cascade)))
            superseded += [self._remove((as_of, cascade)) for as_of in due[:-1]]
        now = self._clock()
        chosen = choose((cascade, wait.due[0], now - wait.since) for cascade, wait in self._waits.items())
        taken += [self._remove((self._waits[cascade].due[0], cascade)) for cascade in chosen]
        self._compact()
        return taken, superseded

    def _compact(self) -> None:
        """Let go of keys that were passed over, once they are the most."""
        if len(self._due) > 2 * self._due_number + LEAST_COMPACTED:
            self._due[:] = [key for key in self._due if key in self._pending]
            heapq.heapify(self._due)

    def waits_seconds(self) -> float:
        """How long that cascade waits which has waited longest, but for what forecasts out of order leave unsure."""
        for wait in self._waits.values():
            return self._clock() - wait.since
        return 0.0

    def waiting_since(self, most: int) -> list[float]:
        """Since when (by the clock) cascades wait, at most so many of those that were the first to."""
        return [wait.since for wait in islice(self._waits.values(), most)]

    def is_waiting(self, cascade: str) -> bool:
        """Whether a forecast of it is due and waits."""
        return cascade in self._waits

    def waiting_cascades(self, watermark: float) -> int:
        """Of how many cascades forecasts are due."""
        self._part(watermark)
        return len(self._waits)

    def due_count(self, watermark: float) -> int:
        """How many are due and wait; ``watermark`` does not go back."""
        self._part(watermark)
        return self._due_number

    def is_due(self, watermark: float) -> bool:
        """Whether any forecast is due."""
        return self.next_as_of() < watermark

    def next_as_of(self) -> float:
        """When the next forecast falls due; infinity when none is pending."""
        first = self._first_due() or (self._later[0] if self._later else None)
        return first[0] if first else math.inf

    def all_pending(self) -> list[Pending]:
        """All pending forecasts, in the order in which they fall due."""
        return [self._pending[key] for key in sorted(self._pending)]
