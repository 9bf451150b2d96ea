"""Forecasts that are kept until the truth about them is known."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Final

import msgspec

UNKNOWN: Final = -1
"""In the place of the truth while the cascade is still here to be asked."""

_VALUES: Final = struct.Struct("<5d")

HEADER_BYTES: Final = 60
"""Of a kept forecast in the log, beside its id and its numbers."""


class Values(msgspec.Struct, array_like=True, frozen=True):
    """What one model said of a cascade, in increments: its forecast, the interval published, the model's own."""

    increment: float
    low: float
    high: float
    own_low: float
    own_high: float


class Panel(msgspec.Struct, array_like=True, frozen=True):
    """Who spoke about a cascade. One panel serves all kept forecasts of a lineup."""

    models: tuple[str, ...]
    """Each as ``name@version``."""
    published: tuple[bool, ...]
    """Experts of a blend may have been asked for the blend's sake alone: they are learned from, not scored."""
    blends: tuple[tuple[int, tuple[int, ...]], ...]
    """Place of each blend, and the places of its experts in the blend's order."""


class Kept(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """All that was said of one cascade at one time."""

    cascade: str
    as_of: float
    matures: float
    """Event time at which the cascade reaches the horizon."""
    age_seconds: float
    observed: int
    panel: Panel
    values: bytes
    """Five float64 a model, as in `Values`."""
    actual: int = UNKNOWN
    """True size at the horizon where the cascade left before it was asked."""
    source: str = ""
    """Of the post; empty where it tells none."""
    vote: str = ""
    """The population that the post resembles by itself; empty where no model can tell."""

    @classmethod
    def of(
        cls, cascade: str, as_of: float, matures: float, age_seconds: float, observed: int, panel: Panel,
        values: list[Values], *, source: str = "", vote: str = "",
    ) -> Kept:  # fmt: skip
        """With the numbers packed: a kept forecast of four models takes some 400 bytes of memory."""
        packed = b"".join(_VALUES.pack(v.increment, v.low, v.high, v.own_low, v.own_high) for v in values)
        return cls(cascade, as_of, matures, age_seconds, observed, panel, packed, UNKNOWN, source, vote)

    @property
    def key(self) -> tuple[str, float]:
        """There is one for each cascade and time."""
        return self.cascade, self.as_of

    @property
    def bytes_needed(self) -> int:
        """About what it takes in the log, before compression."""
        return HEADER_BYTES + len(self.cascade) + len(self.values) + len(self.source) + len(self.vote)

    def said(self) -> list[Values]:
        """Of each model of the panel."""
        return [Values(*numbers) for numbers in _VALUES.iter_unpack(self.values)]

    def with_actual(self, size: int) -> Kept:
        """With the truth written down."""
        return msgspec.structs.replace(self, actual=size)


@dataclass(frozen=True, slots=True)
class Truth:
    """A kept forecast and the size that its cascade had at the horizon."""

    kept: Kept
    size: int

    @property
    def growth(self) -> float:
        """What forecasts of increments are held against: 0 where more was undone since than was added."""
        return float(max(0, self.size - self.kept.observed))


def just_before(time: float) -> float:
    """The latest event time before ``time``: popularity at the horizon counts what came before it."""
    return math.nextafter(time, -math.inf)
