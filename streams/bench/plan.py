"""Which events the benchmarks of the pipeline play, and to what."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final

from graph import Event, read_events
from graph.ordering import ordered
from graph.simulation import Simulation
from graph.simulator import simulated_events

DAY_SECONDS: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class PipelinePlan:
    """``events`` of the simulator, or of a file, beyond the first ``skip`` of them, into so many ``partitions``."""

    events: int = 400_000
    file: str | None = None
    partitions: int = 8
    models: str = "blend"
    quixstreams_python: str = sys.executable
    """It wants other versions of our packages, so it has an environment of its own."""
    seed: int = 0
    skip: int = 0
    own_order: bool = False
    """The file's cascades as they followed one another; else all are laid over one day."""


def events_of(plan: PipelinePlan) -> Iterable[Event]:
    """In order of time."""
    end = plan.skip + plan.events
    if plan.file is not None:
        fold_seconds = None if plan.own_order else DAY_SECONDS
        return islice(ordered(read_events(plan.file), fold_seconds=fold_seconds), plan.skip, end)
    # Half of the cascades' events come within the simulated day, so twice as many cascades are simulated.
    simulation = Simulation(seed=plan.seed, hours=24.0, lifetime_hours=24.0)
    cascades = max(1, round(2 * end / simulation.mean_size))
    return islice(ordered(simulated_events(simulation, cascades)), plan.skip, end)
