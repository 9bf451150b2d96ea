"""Streams for benchmarks of the whole path: posts without end, reshared after delays of a heavy tail, in order."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Iterator
from typing import Final

import msgspec

from graph import Event, Kind

START: Final = 1_700_000_000.0
HOUR: Final = 3600.0
MEDIAN_DELAY_SECONDS: Final = 1800.0
DELAY_SPREAD: Final = 1.5
LONGEST_DELAY_SECONDS: Final = 20 * HOUR

_encode: Final = msgspec.json.Encoder().encode


def endless(
    events_per_hour: float,
    seed: int = 0,
    reshares: int = 9,
    name: str = "post",
    start: float = START,
    median_delay_seconds: float = MEDIAN_DELAY_SECONDS,
) -> Iterator[Event]:
    """Each post has so many reshares on average (geometric); posts come evenly, so that ``events_per_hour`` settles."""
    chance = random.Random(seed)
    gap = HOUR * (reshares + 1) / events_per_hour
    waiting: list[tuple[float, int, int]] = []  # time, number of the cascade, number of the reshare
    number, next_post = 0, start
    while True:
        if not waiting or next_post <= waiting[0][0]:
            cascade = f"{name}{number:08d}"
            yield Event(
                cascade, cascade, Kind.POST, round(next_post, 3), user=f"u{chance.getrandbits(24)}", followers=1000
            )
            for at in range(_geometric(chance, reshares)):
                delay = math.exp(chance.gauss(math.log(median_delay_seconds), DELAY_SPREAD))
                heapq.heappush(waiting, (next_post + min(delay, LONGEST_DELAY_SECONDS), number, at))
            number += 1
            next_post += gap
        else:
            time, of, at = heapq.heappop(waiting)
            cascade = f"{name}{of:08d}"
            yield Event(
                f"{cascade}-{at}",
                cascade,
                Kind.REPOST,
                round(time, 3),
                user=f"u{chance.getrandbits(24)}",
                parent=cascade,
            )


def _geometric(chance: random.Random, mean: float) -> int:
    return int(math.log(1.0 - chance.random()) / math.log(mean / (mean + 1.0))) if mean else 0


def record(event: Event) -> tuple[bytes, bytes]:
    """Key and value for the events topic."""
    return event.cascade.encode(), _encode({n: v for n, v in msgspec.to_builtins(event).items() if v is not None})
