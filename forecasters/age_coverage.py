"""Coverage of intervals at random ages, by bucket of age: what a stream sees, rather than two round ages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from forecasters.base import Case, Forecaster
from forecasters.dataset import increments, rolling_cases
from forecasters.learning_ages import BUCKET_EDGES
from forecasters.platform_votes import examples_in_turn
from forecasters.runs import AgeCoverage
from graph import Cascade

AGE_BUCKETS_SECONDS: Final = tuple(pairwise(BUCKET_EDGES))
"""5 to 15 minutes, 15 to 60 minutes, 1 to 3 hours, 3 to 12 hours."""


def bucket_cases(
    cascades: Sequence[Cascade], bucket: tuple[float, float], horizon_seconds: float, *, least: int, seed: int
) -> list[Case]:
    """One case of each cascade that has ``least`` events at an age drawn from ``bucket``, uniform in log age."""
    low, high = bucket
    found = []
    for index, cascade in enumerate(cascades):
        rng = np.random.default_rng((seed, int(low), index))
        age = math.exp(rng.uniform(math.log(low), math.log(high)))
        found += rolling_cases([cascade], horizon_seconds, ages=[age], min_events=least)
    return found


def coverage_by_age(
    forecaster: Forecaster,
    cascades: Sequence[Cascade],
    horizon_seconds: float,
    *,
    least: int,
    seed: int = 0,
    alone: bool = False,
) -> tuple[AgeCoverage, ...]:
    """How often the intervals of ``forecaster`` hold the truth in each bucket; one without cases is left out.

    ``alone``: each post as the first of its stream.
    """
    rows = []
    for bucket in AGE_BUCKETS_SECONDS:
        found = bucket_cases(cascades, bucket, horizon_seconds, least=least, seed=seed)
        if not found:
            continue
        forecasts = forecaster.forecast(examples_in_turn(forecaster, found, alone=alone))
        actual = increments(found)
        covered = int(np.sum((forecasts.low <= actual) & (actual <= forecasts.high)))
        rows.append(AgeCoverage(*bucket, len(found), covered))
    return tuple(rows)
