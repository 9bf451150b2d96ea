"""The learner of one partition: keeps forecasts of chosen ages, scores them once cascades mature, learns from that.

Event time is cut into slots. What a forecast uses was learned from cascades that had matured, and from forecasts that
were made, before its slot began; so neither batches nor the wall clock nor a crash have a say in it. The machine knows
no Kafka, no models and no clock.
"""

from __future__ import annotations

import heapq
import math
import sys
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from graph import Cascade, CascadeView
from streams.scoring.kept import UNKNOWN, Kept, Panel, Truth, just_before
from streams.scoring.learned import Learned
from streams.settings import Settings

CascadeById = Callable[[str], Cascade | None]

NOTHING: Final = Learned()


class Unscored(StrEnum):
    """Why a forecast that was to be kept was never scored."""

    WITHDRAWN = "withdrawn"
    GONE = "gone"
    NO_ROOM = "no-room"


@dataclass(frozen=True, slots=True)
class _State:
    """What forecasts use whose slot begins at ``start`` or later."""

    start: float
    learned: Learned


class PartitionLearner:
    """Kept forecasts and what was learned from those whose truth is known."""

    def __init__(self, settings: Settings) -> None:
        self._slot = settings.learn_every_seconds
        self._ages = settings.score_ages_seconds
        self._room = settings.max_kept_forecasts
        self._horizon = settings.horizon_seconds
        self._states = [_State(-math.inf, NOTHING)]
        self._start = -math.inf
        self._forgotten = -math.inf
        self._kept: dict[tuple[str, float], Kept] = {}
        self._heap: list[tuple[float, str, float]] = []  # (matures, cascade, as_of)
        self._of_cascade: dict[str, list[tuple[float, float]]] = {}  # (as_of, age) of what is or will be kept
        self._reserved = 0
        self._voters: list[tuple[float, str]] = []  # heap of (as_of, cascade) of what is kept and has not voted yet
        self._unwritten: dict[tuple[str, float], Kept] = {}
        self._learned_from: dict[str, list[Kept]] = {}  # by cascade, with their truth, until `forget_before`
        self._panels: dict[Panel, Panel] = {}
        self.bytes_needed = 0
        self.unscored: Counter[Unscored] = Counter()

    def __len__(self) -> int:
        return len(self._kept)

    def kept_of(self, cascade_id: str) -> list[Kept]:
        """What is kept of a cascade, in order of time."""
        found = (self._kept.get((cascade_id, as_of)) for as_of, _ in self._of_cascade.get(cascade_id, ()))
        return sorted((kept for kept in found if kept is not None), key=lambda kept: kept.as_of)

    # --- time

    def slot_start(self, time: float) -> float:
        """When the slot that holds ``time`` began."""
        if not math.isfinite(time):
            return time
        number = math.floor(time / self._slot)
        return (number if number * self._slot <= time else number - 1) * self._slot  # the quotient may round up

    @property
    def slot_end(self) -> float:
        """Forecasts as of earlier times may be made with what is known now."""
        return self.slot_start(self._start + 1.5 * self._slot) if math.isfinite(self._start) else -math.inf

    @property
    def learned(self) -> Learned:
        """What forecasts of the present slot use."""
        return self._states[-1].learned

    def is_behind(self, time: float) -> bool:
        """Whether there are truths or votes that forecasts as of ``time`` have to use and that were not learned yet."""
        return self._next_to_learn() < self.slot_start(time)

    def unlearned_since(self, time: float) -> float:
        """The earliest time up to which all is learned: ``time``, or when the first truth still to be used matured, or
        the first vote was cast."""
        return min(time, self._next_to_learn()) if self.is_behind(time) else time

    def _next_to_learn(self) -> float:
        return min((heap[0][0] for heap in (self._heap, self._voters) if heap), default=math.inf)

    # --- forecasts in

    def reserve(self, view: CascadeView, as_of: float) -> bool:
        """Whether this forecast is to be kept: the cascade's first at or after one of the chosen ages.

        If so it counts as kept, and its answer is expected by `keep`.
        """
        age = view.age_seconds
        reached = bisect_right(self._ages, age)
        known = self._of_cascade.get(view.cascade, [])
        if not reached or any(at == as_of or bisect_right(self._ages, past) >= reached for at, past in known):
            return False
        if len(self._kept) + self._reserved >= self._room:
            self.unscored[Unscored.NO_ROOM] += 1
            return False
        self._of_cascade.setdefault(view.cascade, []).append((as_of, age))
        self._reserved += 1
        return True

    def keep(self, kept: Kept) -> None:
        """Take in the answer to a reserved forecast."""
        self._reserved -= 1
        self._put(kept)
        self._unwritten[kept.key] = self._kept[kept.key]

    def _put(self, kept: Kept) -> None:
        panel = self._panels.setdefault(kept.panel, kept.panel)
        shared = Kept(
            kept.cascade, kept.as_of, kept.matures, kept.age_seconds, kept.observed, panel, kept.values, kept.actual,
            sys.intern(kept.source), sys.intern(kept.vote),
        )  # fmt: skip
        if kept.key not in self._kept:
            if kept.vote and kept.as_of >= self._start:
                heapq.heappush(self._voters, (kept.as_of, kept.cascade))
            heapq.heappush(self._heap, (kept.matures, kept.cascade, kept.as_of))
            self.bytes_needed += kept.bytes_needed
        self._kept[kept.key] = shared

    def let_go(self, cascade: Cascade, *, grown_out: bool) -> None:
        """A cascade leaves memory. If it had ``grown_out`` (no event can change it any more) its truth is written down
        beside what is kept of it; else nobody will ever know, and what is kept of it goes."""
        for one in self._learned_from.pop(cascade.id, ()):
            self._unwritten[one.key] = one  # a recovery may have to learn it again, and can ask the cascade no more
        for as_of, _ in list(self._of_cascade.get(cascade.id, ())):
            kept = self._kept.get((cascade.id, as_of))
            if kept is None:
                continue
            if grown_out and cascade.withdrawn_at > kept.matures:
                settled = kept.with_actual(cascade.size_at(just_before(kept.matures)))
                self._kept[kept.key] = self._unwritten[kept.key] = settled
            elif not grown_out:
                self._drop(kept)
                self._unwritten.pop(kept.key, None)
                self.unscored[Unscored.GONE] += 1

    def _drop(self, kept: Kept) -> None:
        """Forget a kept forecast; its place in the heap is passed over when it is reached."""
        del self._kept[kept.key]
        self.bytes_needed -= kept.bytes_needed
        left = [one for one in self._of_cascade.get(kept.cascade, []) if one[0] != kept.as_of]
        if left:
            self._of_cascade[kept.cascade] = left
        else:
            self._of_cascade.pop(kept.cascade, None)

    # --- truths

    def advance(self, time: float, find: CascadeById) -> list[Truth]:
        """Enter the slot that holds ``time``: score and learn from what matured or was kept before it began, in order.

        Every forecast as of earlier slots must have been given to `keep`, and the watermark have passed the slot's
        beginning: then nothing can change a truth any more.
        """
        start = self.slot_start(time)
        if start < self._start:
            return []
        voters = self._take_voters(start)
        truths: list[Truth] = []
        while self._heap and self._heap[0][0] < start:
            _, cascade_id, as_of = heapq.heappop(self._heap)
            kept = self._kept.get((cascade_id, as_of))
            if kept is None:
                continue
            actual = self._actual(kept, find(cascade_id))
            self._drop(kept)
            if isinstance(actual, Unscored):
                self.unscored[actual] += 1
            else:
                truths.append(Truth(kept, actual))
                self._learned_from.setdefault(cascade_id, []).append(kept.with_actual(actual))
        self._start = start
        if truths or voters:
            self._states.append(_State(start, self.learned.after(truths, voters)))
        return truths

    def _take_voters(self, before: float) -> list[Kept]:
        """What was kept before a slot began, is still here, and has not voted yet, in order of time."""
        taken = []
        while self._voters and self._voters[0][0] < before:
            as_of, cascade = heapq.heappop(self._voters)
            if (kept := self._kept.get((cascade, as_of))) is not None:
                taken.append(kept)
        return taken

    def _actual(self, kept: Kept, cascade: Cascade | None) -> int | Unscored:
        if kept.actual != UNKNOWN:
            return kept.actual
        if cascade is None:
            return Unscored.GONE
        if cascade.withdrawn_at <= kept.matures:
            return Unscored.WITHDRAWN
        return cascade.size_at(just_before(kept.matures))

    # --- durable state

    def take_unwritten(self, since: float) -> list[Kept]:
        """What was kept or settled since the last call and a recovery from ``since`` on would need."""
        taken, self._unwritten = self._unwritten, {}
        return [kept for kept in taken.values() if self.is_needed(kept, since)]

    def state_at(self, time: float) -> Learned:
        """What forecasts as of ``time`` use; ``time`` must not lie before what was last forgotten."""
        return next(state.learned for state in reversed(self._states) if state.start <= self.slot_start(time))

    def forget_before(self, since: float) -> None:
        """No recovery will begin before ``since``: what only such a one would need goes. ``since`` never goes back."""
        start = self.slot_start(since)
        if start <= self._forgotten:
            return
        self._forgotten = start
        while len(self._states) > 1 and self._states[1].start <= start:
            del self._states[0]
        # What was learned before it was ever written stays until now: a recovery may have to learn it again.
        self._unwritten = {key: kept for key, kept in self._unwritten.items() if self.is_needed(kept, since)}
        self._learned_from = {
            cascade: needed
            for cascade, truths in self._learned_from.items()
            if (needed := [kept for kept in truths if self.is_needed(kept, since)])
        }

    def is_needed(self, kept: Kept, since: float) -> bool:
        """Whether a recovery from ``since`` on would need it."""
        return kept.matures >= self.slot_start(since)

    def restore(self, kept: Iterable[Kept], learned: Learned, since: float) -> None:
        """Be as it was before the first forecast as of ``since``: later ones are made and kept again."""
        self._start = self._forgotten = self.slot_start(since)
        self._states = [_State(self._start, learned)]
        for one in kept:
            if one.as_of < since and self.is_needed(one, since):
                self._of_cascade.setdefault(one.cascade, []).append((one.as_of, one.age_seconds))
                self._put(one)
