"""Times in a segment, in few bytes: where a stream is slow they are the most of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import msgspec
import numpy as np

from graph.watermark import Evidence

ShortTime = int | float
"""Whole milliseconds since another time, where they give the time back exactly; else the time itself (s)."""

_STEP: Final = np.dtype("<i2")
_LONGEST_STEP: Final = np.iinfo(_STEP).max


class StoredClock(msgspec.Struct, array_like=True, frozen=True):
    """`graph.watermark.Evidence`; up to format 3 all its times were told as they are."""

    confirmed: ShortTime  # since the watermark
    credit: int
    votes: int
    recent: bytes | list[float]  # milliseconds, each since the one before it, the first since the confirmed time
    witnesses: list[tuple[float, int]]
    silence_seconds: float | None = None

    def __post_init__(self) -> None:
        """Raise ValueError, which msgspec makes a decoding error, for times of which a part is missing."""
        if isinstance(self.recent, bytes) and len(self.recent) % _STEP.itemsize:
            raise ValueError("its clock's times are cut off")

    @classmethod
    def of(cls, evidence: Evidence, watermark: float) -> StoredClock:
        """Of what a ``watermark`` (s) rests on."""
        return cls(
            shortened(evidence.confirmed, watermark),
            evidence.credit,
            evidence.votes,
            _steps(evidence.recent, evidence.confirmed),
            evidence.witnesses,
            None if evidence.silence_seconds == -math.inf else evidence.silence_seconds,
        )

    def evidence(self, watermark: float) -> Evidence:
        """What `of` was given."""
        confirmed = lengthened(self.confirmed, watermark)
        return Evidence(
            confirmed,
            self.credit,
            self.votes,
            _times(self.recent, confirmed) if isinstance(self.recent, bytes) else self.recent,
            self.witnesses,
            -math.inf if self.silence_seconds is None else self.silence_seconds,
        )


def shortened(time: float, since: float) -> ShortTime:
    """``time`` (s), told from ``since`` (s) on."""
    at = _milliseconds(time)
    return at - _milliseconds(since) if at / 1000 == time else time


def lengthened(short: ShortTime, since: float) -> float:
    """What `shortened` was given."""
    return (_milliseconds(since) + short) / 1000 if isinstance(short, int) else short


def _steps(times: Sequence[float], since: float) -> bytes | list[float]:
    at = [_milliseconds(time) for time in (since, *times)]
    steps = [after - before for before, after in pairwise(at)]
    if all(one / 1000 == time for one, time in zip(at[1:], times, strict=True)) and all(
        abs(step) <= _LONGEST_STEP for step in steps
    ):
        return np.array(steps, _STEP).tobytes()
    return list(times)


def _times(steps: bytes, since: float) -> list[float]:
    at = np.cumsum(np.frombuffer(steps, _STEP), dtype=np.int64) + _milliseconds(since)
    return [one / 1000 for one in at.tolist()]


def _milliseconds(time: float) -> int:
    milliseconds = time * 1000
    return round(milliseconds) if math.isfinite(milliseconds) else 0
