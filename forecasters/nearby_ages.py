"""The training cascades of one observation age, cut at ages near it too: more cases of the same question.

The papers train on one cut of each cascade, a thousand or two in all, and networks learn these by heart. A cascade that
was observed for forty minutes, or for ninety, is nearly another case of how cascades go on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from forecasters.base import Case
from forecasters.dataset import cut, just_before
from forecasters.labels import observed_until

FEWEST_EVENTS: Final = 5
"""Root counted: half of what the papers ask for at the observation age, since a cut may come long before it."""


def with_nearby_ages(train: Sequence[Case], count: int, span: float, *, most: int, seed: int) -> list[Case]:
    """The cases, and of each cascade ``count`` further cuts with the horizon of its case, ``most`` of all at most.

    Ages are uniform in log age, at most ``span`` times older or younger than the case's own. A cut past the events of
    its cascade or past its horizon, or with fewer than `FEWEST_EVENTS`, is left out. The draw depends on the seed and
    on a case's place alone; the cases themselves come first and are never left out.
    """
    found: list[Case] = []
    for index, case in enumerate(train):
        rng = np.random.default_rng((seed, index))
        own = case.as_of - case.graph.root_time
        if own <= 0.0:
            continue
        for age in np.exp(rng.uniform(math.log(own / span), math.log(own * span), count)).tolist():
            if age > observed_until(case.graph) or age >= case.horizon_seconds:
                continue
            if 1 + case.graph.size_at(just_before(case.graph.root_time + age)) >= FEWEST_EVENTS:
                found.append(cut(case.graph, age, case.horizon_seconds))
    room = max(0, most - len(train))
    if len(found) > room:
        found = [found[i] for i in np.sort(np.random.default_rng(seed).permutation(len(found))[:room])]
    return [*train, *found]
