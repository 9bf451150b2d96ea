"""Posts for the tests of alerts: a few accounts that write again and again, sizes of all kinds, ties among them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from forecasters.alerting import GrowthCurves
from graph import Cascade, Event, Kind
from tests.forecasters.cascades import START

HORIZON = 86_400.0


def post(name: str, ages: Sequence[float], *, start: float = START, author: str = "ann", by: str = "u") -> Cascade:
    """A post at ``start`` and a repost at each age, by users u0, u1 and so on."""
    cascade = Cascade(name)
    cascade.apply(Event(id=name, cascade=name, kind=Kind.POST, time=start, user=author))
    for i, age in enumerate(ages):
        cascade.apply(
            Event(id=f"{name}:{i}", cascade=name, kind=Kind.REPOST, time=start + age, user=f"{by}{i}", parent=name)
        )
    return cascade


def events_of(cascade: Cascade, author: str = "ann", by: str = "u") -> list[Event]:
    """The events of a `post`, in order of time."""
    name, start = cascade.id, cascade.root_time
    ages = cascade.view().ages[1:].tolist()
    return [
        Event(id=name, cascade=name, kind=Kind.POST, time=start, user=author),
        *(
            Event(id=f"{name}:{i}", cascade=name, kind=Kind.REPOST, time=start + age, user=f"{by}{i}", parent=name)
            for i, age in enumerate(ages)
        ),
    ]


def busy_day(count: int = 240, seed: int = 0, *, until: float = math.inf) -> list[Cascade]:
    """Posts of a dozen authors of unlike fame, five minutes apart; the more famous, the more reposts.

    Reposts at ``until`` (s) and later have not come yet.
    """
    found = []
    for index in range(count):
        rng = np.random.default_rng((seed, index))
        author = int(rng.integers(12))
        size = min(400, int((1.0 + author) * rng.pareto(1.2) * 2.0))
        ages = np.sort(rng.exponential(20_000.0, size) * rng.uniform(0.3, 2.0))
        start = START + 300.0 * index
        ages = ages[start + ages < until]
        found.append(post(f"p{index}", ages.tolist(), start=start, author=f"author {author}", by=f"{author} "))
    return found


def curves_of(*cascades: Cascade, horizon_seconds: float = HORIZON) -> GrowthCurves:
    """Their curves, in order of root time, then id."""
    return GrowthCurves.of(cascades, horizon_seconds)
