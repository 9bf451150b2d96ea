"""How posts stand towards rules, and the journal of what changed: what of alerts is durable."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from streams.alerts.records import Severity

STEP_BYTES: Final = 120
"""About what a step takes in the log, before compression."""


class Phase(StrEnum):
    """Where a post stands towards a rule."""

    OPEN = "o"
    COOLING = "c"  # resolved, and not to be opened again for a while
    WITHHELD = "w"  # fulfils it, and was not opened
    GONE = "g"  # nothing is to be remembered


class Withheld(StrEnum):
    """Why a post that fulfils a rule opened no alert."""

    COOLING_DOWN = "cooling-down"
    QUIET = "quiet"
    CAPPED = "capped"  # nothing is left of the cap
    OUTRANKED = "outranked"  # more important ones are to have what is left
    FULL = "full"  # `MAX_STANDINGS` of a partition are remembered already


class Cause(StrEnum):
    """What changed something."""

    FORECAST = "f"
    MATURED = "m"
    WITHDRAWN = "w"
    GONE = "g"
    REMOVED = "r"


class Told(msgspec.Struct, array_like=True, frozen=True):
    """What was last said of an open alert, and what its end will need."""

    severity: Severity
    labels: dict[str, str]
    source: str | None
    lang: str | None
    followers: int | None
    model: str
    model_version: str
    observed: int
    expected: float
    low: float
    high: float
    importance: float
    event: str


class Standing(msgspec.Struct, array_like=True, frozen=True):
    """How one post stands towards one rule."""

    rule: str
    phase: Phase
    since: float  # event time at which the phase began; of an open alert, when it was opened
    until: float  # when it ends by itself
    withheld: str = ""  # the reason last counted
    told: Told | None = None  # of an open alert


class Step(msgspec.Struct, array_like=True, frozen=True):
    """All that one forecast, or one moment of event time, changed of one post's standing."""

    as_of: float
    cascade: str
    cause: Cause
    standings: list[Standing]
    vote: tuple[str, int] | None = None  # source and bin: the post counts among the others of the slot
    candidates: list[int] = []  # bins of the importance of those who fulfil a rule for the first time
    budget: tuple[float, float] | None = None  # what is left of the cap, and as of when

    @property
    def key(self) -> tuple[float, str, str]:
        """There is one for each."""
        return self.as_of, self.cascade, self.cause.value


class Mark(msgspec.Struct, array_like=True, frozen=True):
    """A post with an open alert left memory: fully grown, with its ``size`` at the horizon, or evicted (-1)."""

    cascade: str
    at: float
    size: int
