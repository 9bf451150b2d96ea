"""Cascades for the tests of forecasters: simple to say, and hostile where it matters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graph import Cascade, Event, Kind

START = 1_700_000_000.0


def cascade_of(
    ages: Sequence[float],
    *,
    name: str = "c",
    parents: Sequence[int] | None = None,
    users: Sequence[str | None] | None = None,
    followers: Sequence[int | None] | None = None,
    root_followers: int | None = None,
    root: bool = True,
    start: float = START,
) -> Cascade:
    """A post at ``start`` and a repost at each age; ``parents`` number the reposts from 1, 0 is the root."""
    cascade = Cascade(name)
    if root:
        cascade.apply(Event(id=name, cascade=name, kind=Kind.POST, time=start, user="author", followers=root_followers))
    for i, age in enumerate(ages):
        parent = 0 if parents is None else parents[i]
        cascade.apply(
            Event(
                id=f"{name}:{i + 1}",
                cascade=name,
                kind=Kind.REPOST,
                time=start + age,
                user=f"u{i}" if users is None else users[i],
                parent=name if parent == 0 else f"{name}:{parent}",
                followers=None if followers is None else followers[i],
            )
        )
    return cascade


def random_cascades(count: int, seed: int = 0, *, horizon: float = 86_400.0) -> list[Cascade]:
    """Cascades with heavy-tailed sizes and a power-law decay, as real ones have, on random trees."""
    found = []
    for index in range(count):
        rng = np.random.default_rng((seed, index))
        size = int(30 * (1.0 + rng.pareto(1.5)))
        scale = 10.0 ** rng.uniform(2.0, 3.5)
        ages = np.sort(scale * rng.pareto(0.8, min(size, 600)))
        ages = ages[ages < horizon]
        parents = [int(rng.integers(0, i + 1)) if rng.random() < 0.4 else 0 for i in range(len(ages))]
        found.append(
            cascade_of(
                ages.tolist(),
                name=f"r{index}",
                parents=parents,
                root_followers=int(10.0 ** rng.uniform(1.0, 6.0)) if rng.random() < 0.7 else None,
                followers=[int(10.0 ** rng.uniform(0.0, 4.0)) if rng.random() < 0.5 else None for _ in ages],
                start=START + 3600.0 * index,
            )
        )
    return found
