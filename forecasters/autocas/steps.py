"""How [0, t_p] is cut into steps: the ages at which one step ends and the next begins."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forecasters.autocas.config import AutoCasConfig
from forecasters.logarithms import OLDEST_SECONDS

Floats = NDArray[np.float64]

FIRST_STEP_SECONDS: Final = 60.0
STEPS_A_DOUBLING: Final = 2
"""Steps from one age to twice that age: 21 steps from a minute to a day, attention being about level in log age."""
LEAST_GROWTH: Final = 1.06
"""A step at the edge of the observation or before the horizon that is narrower than 6 % joins its neighbour."""


@dataclass(frozen=True, slots=True)
class Steps:
    """``ends`` (n_o + n_f,) in seconds of age, nondecreasing; the first ``observed`` = n_o >= 1 of them are observed.

    ends[n_o - 1] is the age t_o of the observation, the last end the horizon t_p (unless it is past).
    """

    ends: Floats
    observed: int

    @property
    def starts(self) -> Floats:
        """(n_o + n_f,) where each step begins."""
        return np.concatenate([[0.0], self.ends[:-1]])


def steps_of(age_seconds: float, horizon_seconds: float, config: AutoCasConfig) -> Steps:
    """The steps of one observation; past the horizon there are no future ones."""
    age = min(max(age_seconds, 0.0), OLDEST_SECONDS)
    horizon = min(horizon_seconds, OLDEST_SECONDS)
    if config.steps == "equal":
        past = age * np.arange(1, config.observed_steps + 1) / config.observed_steps
        ahead = age + (horizon - age) * np.arange(1, config.future_steps + 1) / config.future_steps
        past[-1], ahead[-1] = age, horizon
    else:
        grid = _grid(max(age, horizon))
        past = np.concatenate((grid[grid * LEAST_GROWTH < age], [age]))
        ahead = np.concatenate((grid[(grid > age * LEAST_GROWTH) & (grid * LEAST_GROWTH < horizon)], [horizon]))
    if horizon <= age:
        return Steps(past, len(past))
    return Steps(np.concatenate([past, ahead]), len(past))


def _grid(until_seconds: float) -> Floats:
    """One minute and on by equal factors, up to ``until_seconds``: the same edges for every cascade."""
    count = 1 + math.floor(STEPS_A_DOUBLING * math.log2(max(until_seconds / FIRST_STEP_SECONDS, 1.0)))
    edges: Floats = FIRST_STEP_SECONDS * np.exp2(np.arange(count) / STEPS_A_DOUBLING)
    return edges
