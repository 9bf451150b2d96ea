"""What a partition's watermark rests on, as a segment holds it: at ten events a second it is the most of a segment."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from graph.watermark import Evidence

ShortTime = int | float
"""Whole milliseconds since the time before it, where they give the time back exactly; else the time itself (s)."""


class StoredClock(msgspec.Struct, array_like=True, frozen=True):
    """`graph.watermark.Evidence` in few bytes; up to format 3 all its times were told as they are."""

    confirmed: float
    credit: int
    votes: int
    recent: list[ShortTime]
    witnesses: list[tuple[float, int]]
    silence_seconds: float | None = None

    @classmethod
    def of(cls, evidence: Evidence) -> StoredClock:
        """Of what a watermark rests on."""
        return cls(
            evidence.confirmed,
            evidence.credit,
            evidence.votes,
            shortened(evidence.recent, evidence.confirmed),
            evidence.witnesses,
            None if evidence.silence_seconds == -math.inf else evidence.silence_seconds,
        )

    def evidence(self) -> Evidence:
        """What `of` was given."""
        return Evidence(
            self.confirmed,
            self.credit,
            self.votes,
            lengthened(self.recent, self.confirmed),
            self.witnesses,
            -math.inf if self.silence_seconds is None else self.silence_seconds,
        )


def shortened(times: Sequence[float], since: float) -> list[ShortTime]:
    """``times`` (s), told one after the other from ``since`` (s) on."""
    short: list[ShortTime] = []
    before = _milliseconds(since)
    for time in times:
        at = _milliseconds(time)
        if at / 1000 == time:
            short.append(at - before)
            before = at
        else:
            short.append(time)
    return short


def lengthened(short: Sequence[ShortTime], since: float) -> list[float]:
    """What `shortened` was given."""
    times: list[float] = []
    before = _milliseconds(since)
    for one in short:
        if isinstance(one, int):
            before += one
            times.append(before / 1000)
        else:
            times.append(one)
    return times


def _milliseconds(time: float) -> int:
    return round(time * 1000) if math.isfinite(time) else 0
