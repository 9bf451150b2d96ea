"""The clock of a partition: no event earlier than it is expected any more.

Event times are told by many clocks, and some of them lie. So the clock believes a time because the records around it
say the same, never because one record does:

- It has a *confirmed* time. Of every `BLOCK` records near it, the lower quartile becomes the next: a quarter of the
  records may lag behind, and all but a quarter run ahead, without moving it.
- It follows an event at once that is at most ``max_jump_seconds`` ahead of the confirmed time.
- A record further ahead is a *witness*. The clock jumps only when the witnesses outvote the records that go on near
  the confirmed time; the longer those went on undisturbed, the more votes it takes (`MIN_VOTES` to `MAX_VOTES`).
- A record that comes too late to be applied may have come before, and nobody remembers: it counts only where it says
  what no other has said, a later time or another one far ahead. So what is sent again moves nothing.
- The witnesses' own times tell how long the present has been silent: the longer they go on with no record near the
  confirmed time between them, the fewer votes it takes. A batch of one wrong clock is over in moments.

So a night's silence, or cascades years apart, are passed after a few records, and one wrong clock among many right ones
moves nothing. All of it is a function of the sequence of records.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec
from xxhash import xxh3_64_intdigest

MAX_JUMP_SECONDS: Final = 1800.0
"""Wrong time zones are off by half an hour or more; disorder and pauses of a busy partition by less."""

BLOCK: Final = 16
"""Three records of four must be ahead to mislead a block: with one in four, one block in 300,000."""

MIN_VOTES: Final = 16
"""Eight cascades, or fifteen records of one: a clock that has only begun is confirmed after few records."""

MAX_VOTES: Final = 1024
"""More than one producer's batch of records, which lie together in a partition and share one clock."""

_RECORDS_A_VOTE: Final = 4
_NEW_CASCADE_VOTES: Final = 2
"""A cascade's further records count half: they may all come from the clock that was wrong about the first. A record
near the confirmed time takes as many away, so that it takes a majority to jump."""

_WITNESSES: Final = 16

_STEP_SECONDS: Final = 300.0
"""Of silence: a client of Kafka gives up what it could not send for two minutes, so its batch tells no longer time."""

_STEPS_BACK: Final = 3
"""With one record in ten that lies at random among those that tell of a silence, it is still told in the end."""

_SPARSE_SPAN_SECONDS: Final = 2 * 86_400.0
"""How far apart the few records of an input may lie that ended before anything was confirmed."""

_TAIL_STEP_SECONDS: Final = 12 * 3600.0
"""An input's last records may come ever more seldom, with nobody left to confirm them: longer than a night is a lie."""

_LIVE_VOTES: Final = 4
"""Two cascades must tell the wall clock's time before a partition with another past counts as live."""


class Evidence(msgspec.Struct, array_like=True, frozen=True):
    """What a `Watermark` holds beside its value: part of a partition's durable state."""

    confirmed: float
    credit: int
    votes: int
    recent: list[float]
    witnesses: list[tuple[float, int]]
    silence_seconds: float = -math.inf  # -inf: the last record was near the confirmed time


class Watermark:
    """The latest event time believed less the lateness allowed; it never goes back.

    >>> clock = Watermark(allowed_lateness_seconds=10)
    >>> clock.advance_to(90.0), clock.observe(500.0, "a"), clock.value
    (90.0, False, 490.0)
    >>> clock.observe(1e9, "b"), clock.value  # a clock that is decades ahead
    (True, 490.0)
    """

    __slots__ = (
        "_confirmed",
        "_credit",
        "_recent",
        "_silence_seconds",
        "_step_seconds",
        "_tail",
        "_votes",
        "_witnesses",
        "allowed_lateness_seconds",
        "max_jump_seconds",
        "value",
    )

    def __init__(self, allowed_lateness_seconds: float = 0.0, max_jump_seconds: float = MAX_JUMP_SECONDS) -> None:
        if not allowed_lateness_seconds >= 0:
            raise ValueError(f"allowed_lateness_seconds must not be negative, not {allowed_lateness_seconds}")
        if not max_jump_seconds >= 0:
            raise ValueError(f"max_jump_seconds must not be negative, not {max_jump_seconds}")
        self.allowed_lateness_seconds = allowed_lateness_seconds
        self.max_jump_seconds = max_jump_seconds
        self._step_seconds = min(_STEP_SECONDS, max_jump_seconds)
        self.value = -math.inf
        self._confirmed = -math.inf
        self._credit = 0  # records near the confirmed time since it last jumped
        self._votes = 0
        self._tail = -math.inf  # reached from the confirmed time by steps of half a day at most
        self._recent: list[float] = []  # of the block that is not complete
        self._witnesses: list[tuple[float, int]] = []  # (time, hash of the cascade) of the last records further ahead
        self._silence_seconds = -math.inf  # how far witnesses went on since a record near the confirmed time

    @property
    def believed_until(self) -> float:
        """Events of later times need witnesses (s)."""
        return self._confirmed + self.max_jump_seconds

    def observe(self, time: float, cascade: str | bytes, *, late: bool = False) -> bool:
        """Take note of a record of ``cascade`` at event time ``time`` (s), which must not be NaN; return whether it is
        too far ahead to be believed yet: never before anything was confirmed. ``late``: too late to be applied, so
        nobody knows whether it came before."""
        ahead = time - self._confirmed
        if ahead > self.max_jump_seconds:
            witness = xxh3_64_intdigest(cascade.encode() if isinstance(cascade, str) else cascade)
            if not (late and (time, witness) in self._witnesses):
                self._testify(time, witness)
            return math.isfinite(self._confirmed) and time > self.believed_until
        if late and time - self.allowed_lateness_seconds <= self.value:
            return False
        if ahead >= -self.max_jump_seconds:
            self._support(time)
        self._raise(time - self.allowed_lateness_seconds)
        return False

    def advance_to(self, value: float) -> float:
        """Raise the watermark itself (s), as an idle partition's clock does; a lower value changes nothing."""
        if value > self.value:
            self.value = value
            self._confirm(value + self.allowed_lateness_seconds)
        return self.value

    def is_live(self, now: float, within_seconds: float) -> bool:
        """Whether the events are of about the time ``now`` (s): the latest believed, or most of those that wait for
        belief."""
        if abs(now - self.value - self.allowed_lateness_seconds) <= within_seconds:
            return True
        if math.isfinite(self._confirmed) and self._votes < _LIVE_VOTES:
            return False
        return 2 * sum(abs(now - time) <= within_seconds for time, _ in self._witnesses) > len(self._witnesses)

    def end_of_input(self) -> float:
        """The latest event time (s) to go by when nothing more will come; -inf if nothing came.

        Records that thin out count, each within half a day of the one before. Where an input was too short for anything
        to be confirmed, those count that lie within two days of the middle one.
        """
        if math.isfinite(self._confirmed):
            return max(self._tail, self.value + self.allowed_lateness_seconds)
        if not self._witnesses:
            return -math.inf
        times = sorted(time for time, _ in self._witnesses)
        middle = times[(len(times) - 1) // 2]
        return max(time for time in times if time <= middle + _SPARSE_SPAN_SECONDS)

    def evidence(self) -> Evidence:
        """All but the value, for `restore`."""
        return Evidence(
            self._confirmed,
            self._credit,
            self._votes,
            list(self._recent),
            list(self._witnesses),
            self._silence_seconds,
        )

    def restore(self, value: float, evidence: Evidence | None) -> None:
        """Continue from a stored value and its evidence; without any, the value counts as confirmed."""
        if evidence is None:
            self.advance_to(value)
            return
        self.value = value
        self._confirmed, self._credit, self._votes = evidence.confirmed, evidence.credit, evidence.votes
        self._recent, self._witnesses = list(evidence.recent), list(evidence.witnesses)
        self._silence_seconds = evidence.silence_seconds

    def _raise(self, value: float) -> None:
        if value > self.value:
            self.value = value

    def _reach(self, time: float) -> None:
        if self._tail < time <= self._tail + _TAIL_STEP_SECONDS:
            self._tail = time

    def _support(self, time: float) -> None:
        """A record near the confirmed time: it speaks against the witnesses, and for the present."""
        self._silence_seconds = -math.inf
        if self._credit < MAX_VOTES * _RECORDS_A_VOTE:
            self._credit += 1
        if self._votes:
            self._votes = max(0, self._votes - _NEW_CASCADE_VOTES)
            if not self._votes:
                self._witnesses.clear()
        recent = self._recent
        recent.append(time)
        if len(recent) == BLOCK:
            recent.sort()
            self._confirm(recent[BLOCK // 4 - 1])
            recent.clear()

    def _testify(self, time: float, cascade: int) -> None:
        """A record further ahead: jump once the witnesses have the votes."""
        self._go_on_silent(time)
        known = any(cascade == other for _, other in self._witnesses)
        self._votes += 1 if known else _NEW_CASCADE_VOTES
        self._witnesses.append((time, cascade))
        self._reach(time)
        del self._witnesses[:-_WITNESSES]
        while self._witnesses and self._votes >= self._votes_needed():
            self._credit = 0
            self._recent.clear()
            times = sorted(time for time, _ in self._witnesses)
            self._confirm(times[max(0, len(times) // 4 - 1)])

    def _go_on_silent(self, time: float) -> None:
        """A record of ``time`` is a witness as the one before it was: one step, however far it lies from that one.
        Far back it is three steps: clocks that jump about would otherwise seem to go on by chance."""
        if self._silence_seconds == -math.inf or not self._witnesses:
            self._silence_seconds = 0.0
            return
        step = min(time - self._witnesses[-1][0], self._step_seconds)
        if step < -self._step_seconds:
            step = -_STEPS_BACK * self._step_seconds
        self._silence_seconds = max(0.0, self._silence_seconds + step)

    def _votes_needed(self) -> int:
        """To jump. Divided by the silence rather than halved with each step of it: who stamps a batch with the hours
        to come needs two dozen of them in a row to move a busy partition."""
        votes = self._credit // _RECORDS_A_VOTE
        if self._silence_seconds > 0:
            votes = int(votes * self._step_seconds / (self._step_seconds + self._silence_seconds))
        return max(MIN_VOTES, votes)

    def _confirm(self, time: float) -> None:
        """Raise the confirmed time; witnesses that it comes near to are believed and witness no more."""
        if time <= self._confirmed:
            return
        self._confirmed = time
        self._tail = max(self._tail, time)
        if not self._witnesses:
            return
        for at, _ in sorted(self._witnesses):
            self._reach(at)
        until = self.believed_until
        self._raise(
            max((at for at, _ in self._witnesses if at <= until), default=-math.inf) - self.allowed_lateness_seconds
        )
        self._witnesses = [witness for witness in self._witnesses if witness[0] > until]
        cascades = len({cascade for _, cascade in self._witnesses})
        self._votes = min(self._votes, len(self._witnesses) + (_NEW_CASCADE_VOTES - 1) * cascades)
