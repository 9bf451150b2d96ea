"""The future trend of a cascade: how many reshares fall into each of l equal intervals from now to the horizon."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forecasters.base import Case
from forecasters.dataset import just_before
from forecasters.trajectory import Relaxation

Floats = NDArray[np.float64]

LARGEST_LOG: Final = 30.0
"""Bound on log2 of a count drawn by a model: a thousand million reshares in one interval."""


def true_trends(cases: Sequence[Case], intervals: int) -> tuple[Floats, NDArray[np.bool_]]:
    """Y0 = log2(1 + count) of each interval, (M, l), and whether it is known, (M,); 0 where not.

    The trend of a case is unknown where its events do not add up to its increment: they end before the horizon, and
    only the growth that followed was counted.
    """
    trends, known = np.zeros((len(cases), intervals)), np.zeros(len(cases), dtype=np.bool_)
    for row, case in enumerate(cases):
        root, age = case.graph.root_time, case.as_of - case.graph.root_time
        ends = root + age + (case.horizon_seconds - age) * np.arange(1, intervals + 1) / intervals
        ends[-1] = root + case.horizon_seconds
        sizes = [case.graph.size_at(case.as_of), *(case.graph.size_at(just_before(float(end))) for end in ends)]
        if max(0, sizes[-1] - sizes[0]) != case.increment:
            continue
        known[row] = True
        # popularity that shrinks counts as popularity that does not grow, as in the increment
        trends[row] = np.log2(1.0 + np.maximum(np.diff(sizes), 0))
    return trends, known


def total_growth(trends: Floats) -> Floats:
    """log2(1 + increment) of trends (..., l): log2(1 + sum of the counts)."""
    counts = np.exp2(np.clip(trends, 0.0, LARGEST_LOG)) - 1.0
    return np.asarray(np.log2(1.0 + counts.sum(axis=-1)))


def trend_shares(
    trends: Floats, ages: Floats, age_seconds: Floats, horizon_seconds: Floats, relaxation: Relaxation
) -> Floats:
    """Share of the increment that has come by each of ``ages`` (B, P): nondecreasing, 0 now and 1 at the horizon.

    ``trends`` (B, l) say how much falls into each interval; within an interval growth slows as ``relaxation`` says,
    which also stands in where the trend expects nothing.
    """
    l = trends.shape[1]  # noqa: E741  the paper's symbol
    masses = np.exp2(np.clip(trends, 0.0, LARGEST_LOG)) - 1.0
    total = masses.sum(axis=1, keepdims=True)
    done = np.concatenate([np.zeros_like(total), np.cumsum(masses, axis=1)], axis=1) / np.maximum(total, 1e-12)
    remaining = np.maximum(horizon_seconds - age_seconds, 0.0)[:, None]
    ends = age_seconds[:, None] + remaining * np.arange(l + 1) / l  # (B, l + 1)
    relaxed, at_ends = (relaxation.share(x, age_seconds, horizon_seconds) for x in (ages, ends))
    ahead = np.divide(ages - age_seconds[:, None], remaining, out=np.zeros_like(ages), where=remaining > 0)
    index = np.clip((ahead * l).astype(np.int64), 0, l - 1)  # (B, P) the interval of each age

    def at(values: Floats, offset: int) -> Floats:
        return np.take_along_axis(values, index + offset, axis=1)

    width = at(at_ends, 1) - at(at_ends, 0)
    part = np.divide(relaxed - at(at_ends, 0), width, out=np.zeros_like(ages), where=width > 0)
    shares = at(done, 0) + np.clip(part, 0.0, 1.0) * (at(done, 1) - at(done, 0))
    shares = np.where(total > 0, shares, relaxed)
    shares[:, 0] = 0.0
    return np.maximum.accumulate(np.clip(shares, 0.0, 1.0), axis=1)
