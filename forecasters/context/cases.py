"""The cases that a context is learned from: many random ages of every training cascade."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np

from forecasters.base import Case
from forecasters.context.config import ContextConfig
from forecasters.dataset import cut, just_before, rolling_ages
from forecasters.labels import label_of, observed_until, population_of
from forecasters.nearby_ages import with_nearby_ages
from graph import Cascade

FEWEST_EVENTS: Final = 2
"""Root counted: before the first reshare nothing tells a post from any other."""
LEAST_AHEAD: Final = 1.04
"""A horizon is at least 4 % beyond the age; nearer ones say nothing."""


def context_cases(train: Sequence[Case], config: ContextConfig, seed: int) -> list[Case]:
    """Random cuts of the cascades of ``train``, each at the horizon of its case or at a nearer one.

    The draw depends on the seed and a cascade's place among the others. A cascade whose events end before its horizon
    has no nearer horizon to be asked for. With an ``age_span`` the cuts are `with_nearby_ages` instead, all of them at
    the horizons of the cases.
    """
    if config.age_span is not None:
        near = with_nearby_ages(train, config.cuts, config.age_span, most=config.most_cuts, seed=seed)
        return near[len(train) :]
    found: list[Case] = []
    for horizon in sorted({case.horizon_seconds for case in train}):
        graphs = {id(case.graph): case.graph for case in train if case.horizon_seconds == horizon}
        sizes = Counter(population_of(graph) for graph in graphs.values())
        for index, graph in enumerate(graphs.values()):
            cuts = max(1, min(config.cuts, config.most_cuts // sizes[population_of(graph)]))
            found += _cuts(graph, horizon, cuts, config.nearer_horizons, np.random.default_rng((seed, 1, index)))
    return found


def _cuts(graph: Cascade, horizon: float, count: int, nearer_horizons: float, rng: np.random.Generator) -> list[Case]:
    whole = label_of(graph) is None
    found = []
    for age in rolling_ages(rng, count, min(observed_until(graph), horizon)):
        nearer = rng.random() < nearer_horizons
        drawn = math.exp(rng.uniform(math.log(age), math.log(horizon)))
        if 1 + graph.size_at(just_before(graph.root_time + age)) < FEWEST_EVENTS:
            continue
        found.append(cut(graph, age, drawn if whole and nearer and drawn > LEAST_AHEAD * age else horizon))
    return found
