"""When a worker is beyond help: its loop does not answer, or nothing moves although there is work.

The judgement alone, on what was observed; `streams.supervision.watchdog_thread` observes and acts. A restart costs
seconds and loses nothing, a worker that hangs costs everything: but a false alarm in the middle of a recovery begins it
anew. So only what has an explanation in the worker itself counts: not a Kafka that does not answer, not a machine that
slept.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Final

TICK_SECONDS: Final = 1.0
"""How often the worker is looked at."""

PAUSE_SECONDS: Final = 10.0
"""So long between two looks: the process was stopped or the machine slept, and all clocks begin anew."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long without a sign of life is too long."""

    loop_seconds: float
    stall_seconds: float


@dataclass(frozen=True, slots=True)
class Observation:
    """A worker at one moment of monotonic time."""

    at: float
    loop_answered_at: float
    kafka_answers: bool
    work: Mapping[str, Hashable] = field(default_factory=dict)
    """What is to be done, by name, each with something that changes when it proceeds. What is done is not named."""


@dataclass(frozen=True, slots=True)
class Stuck:
    """What does not proceed: the name of the work, or none for the loop itself."""

    why: str
    work: str = ""


class Judge:
    """Finds out from successive observations whether something is stuck."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._last_at: float | None = None
        self._awake_since = 0.0
        self._since: dict[str, tuple[Hashable, float]] = {}  # work -> its last change, and when that was seen

    def look(self, seen: Observation) -> Stuck | None:
        """What is stuck; None while all is well or waiting is right."""
        if self._last_at is None or seen.at - self._last_at > PAUSE_SECONDS:
            self._awake_since = seen.at
            self._since.clear()
        self._last_at = seen.at
        if (silent := self.loop_delay_seconds(seen)) > self._limits.loop_seconds:
            return Stuck(f"the event loop has not answered for {silent:.0f} s")
        return self._stuck(seen)

    def _stuck(self, seen: Observation) -> Stuck | None:
        if not seen.kafka_answers:
            self._since.clear()
            return None
        known, self._since = self._since, {}
        for name, state in seen.work.items():
            before, since = known.get(name, (state, seen.at))
            self._since[name] = (state, since if before == state else seen.at)
        for name, (_, since) in self._since.items():
            if seen.at - since > self._limits.stall_seconds:
                return Stuck(f"{name}: no progress for {seen.at - since:.0f} s", name)
        return None

    def loop_delay_seconds(self, seen: Observation) -> float:
        """How long the loop has owed an answer."""
        return max(0.0, seen.at - max(seen.loop_answered_at, self._awake_since))

    def quiet_seconds(self) -> float:
        """How long the slowest work has not proceeded."""
        return max((self._last_at or 0.0) - since for _, since in self._since.values()) if self._since else 0.0

    def forgive(self, name: str) -> None:
        """Begin anew with this work: a closer look showed that nothing is amiss."""
        self._since.pop(name, None)
