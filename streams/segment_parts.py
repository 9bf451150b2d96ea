"""What is too large for one record of Kafka is written as several segments, so that a crash between them does no harm.

The earlier ones say what cascades gained, with the forecasts that follow from it, under the header of the write before:
the state still ends where it ended, so after a crash the same records are applied again, find their events known, and
make the same of all others. The one with the new header comes after them, and last which cascades left: what is kept of
them for scoring must be durable before they are gone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeVar

from msgspec.structs import replace

from streams.segments import STATE_VERSION, Segment

MAX_PART_BYTES: Final = 600_000
"""Of a segment before compression: a record of Kafka has a million bytes by default, headers and framing included."""

_FRAME_BYTES: Final = 24

T = TypeVar("T")


def nothing_written() -> Segment:
    """The header before the first write."""
    return Segment(STATE_VERSION, -math.inf, -math.inf, -1, [], [], [])


def header_of(segment: Segment) -> Segment:
    """How far the state goes, and nothing of what it holds."""
    return replace(segment, chunks=[], pending=[], left=[], kept=[], learned=None)


def parts(whole: Segment, before: Segment) -> list[Segment]:
    """The segments to write, in this order, for one that is too large. ``before`` is what was written last."""
    groups = list(_packed(_gains(whole), lambda gain: gain[0])) or [[]]
    held = [replace(header_of(before), **_held(group)) for group in groups[:-1]]
    told = replace(whole, **_held(groups[-1]), left=[])
    left = [replace(header_of(whole), left=group) for group in _packed(whole.left, _left_bytes)]
    return [*held, told, *left]


def _left_bytes(left: tuple[str, float]) -> int:
    return len(left[0].encode()) + _FRAME_BYTES


Gain = tuple[int, dict[str, list[Any]]]
"""What must be written together: its bytes, and items by field."""


def _gains(segment: Segment) -> Iterator[Gain]:
    """A chunk never without the forecasts that follow from it: they are not made again from an event that is known.

    In their order, so that the last chunks come under the new header.
    """
    for kept in segment.kept:
        yield kept.bytes_needed, {"kept": [kept]}
    waiting: dict[str, list[Any]] = {}
    for forecast in segment.pending:
        waiting.setdefault(forecast[0], []).append(forecast)
    own_chunks = {chunk.cascade for chunk in segment.chunks}
    for cascade in [cascade for cascade in waiting if cascade not in own_chunks]:
        yield _waiting_bytes(waiting[cascade]), {"pending": waiting[cascade]}
    for chunk in segment.chunks:
        own = waiting.pop(chunk.cascade, [])
        cost = len(chunk.data) + len(chunk.cascade.encode()) + _FRAME_BYTES + _waiting_bytes(own)
        yield cost, {"chunks": [chunk], "pending": own}


def _waiting_bytes(waiting: Iterable[tuple[str, float, float, str]]) -> int:
    return sum(len(cascade.encode()) + len(event.encode()) + 2 * _FRAME_BYTES for cascade, _, _, event in waiting)


def _held(gains: Iterable[Gain]) -> dict[str, list[Any]]:
    held: dict[str, list[Any]] = {"chunks": [], "pending": [], "kept": []}
    for _, items in gains:
        for name, found in items.items():
            held[name] += found
    return held


def _packed(items: Iterable[T], cost: Callable[[T], int]) -> Iterator[list[T]]:
    """In their order, as many together as fit."""
    group: list[T] = []
    taken = 0
    for item in items:
        bytes_ = cost(item)
        if group and taken + bytes_ > MAX_PART_BYTES:
            yield group
            group, taken = [], 0
        group.append(item)
        taken += bytes_
    if group:
        yield group
