"""Which fault strikes when: a pure function of the seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal[
    "kill worker", "wipe worker", "stop worker", "pause worker", "zombie worker", "fill disk", "scale",
    "kill replay", "kill broker", "pause broker", "reset connections", "stall connections", "refuse connections",
]  # fmt: skip

SESSION_SECONDS: Final = 6.0
"""The shortest session a broker allows by default: a silence beyond it costs a worker its partitions."""

MAX_WORKERS: Final = 3

_DURATIONS: Final[dict[Kind, tuple[float, float]]] = {
    "kill worker": (0.0, 2.0),  # until it is started again
    "wipe worker": (0.0, 2.0),  # comes back on an empty disk
    "stop worker": (0.0, 1.0),  # SIGTERM, as in a rolling upgrade
    "pause worker": (0.5, 4.0),
    "zombie worker": (SESSION_SECONDS + 1.5, SESSION_SECONDS + 4.0),  # writes again after another has taken over
    "fill disk": (1.0, 5.0),
    "scale": (0.0, 0.0),
    "kill replay": (0.0, 2.0),
    "kill broker": (0.0, 2.0),
    "pause broker": (0.5, SESSION_SECONDS + 2.0),
    "reset connections": (0.0, 0.0),
    "stall connections": (0.5, SESSION_SECONDS + 2.0),
    "refuse connections": (0.3, 4.0),
}
"""How long each lasts, in seconds of wall time; all but the zombie may or may not outlast the session."""


ALL_KINDS: Final[tuple[Kind, ...]] = tuple(_DURATIONS)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. ``pick`` in [0, 1) chooses among the workers that are there when it strikes."""

    at_seconds: float
    kind: Kind
    seconds: float = 0.0
    pick: float = 0.0
    workers: int = 0  # how many there are to be, of "scale"


@dataclass(frozen=True, slots=True)
class Schedule:
    """The faults of a run, and the workers it begins with."""

    workers: int
    faults: tuple[Fault, ...]


def schedule(
    seed: int,
    *,
    faults: int = 5,
    begin_seconds: float = 4.0,
    end_seconds: float = 24.0,
    kinds: Sequence[Kind] = ALL_KINDS,
) -> Schedule:
    """So many faults between two moments, each kind once before any comes twice."""
    chance = random.Random(f"faults {seed}")
    workers = chance.randint(1, MAX_WORKERS)
    drawn: list[Kind] = []
    while len(drawn) < faults:
        drawn += chance.sample(kinds, len(kinds))
    times = sorted(chance.uniform(begin_seconds, end_seconds) for _ in range(faults))
    made = []
    for at, kind in zip(times, drawn, strict=False):
        made.append(
            Fault(
                round(at, 3),
                kind,
                round(chance.uniform(*_DURATIONS[kind]), 3),
                chance.random(),
                chance.randint(1, MAX_WORKERS) if kind == "scale" else 0,
            )
        )
    return Schedule(workers, tuple(made))
