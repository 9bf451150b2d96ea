"""Labels with less chance in them: what a cascade had gained by later ages, and what could be foretold from there.

How far a cascade grows is mostly chance, and a thousand labels carry a thousand chances. Seen some hours later, much of
a cascade's chance has happened: the growth until then and the growth that a network foretells from then on have
together the mean of the truth, given what is seen now, and less spread around it. Learning from them is temporal
difference learning with an eligibility of 0 (Sutton 1988, "Learning to predict by the methods of temporal
differences"), here with teachers that were fitted to other cascades than the one they are asked of.

The teachers are cross-fitted and thrown away, later ages are looked at in training cascades only, and the labels are of
the training cases alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from forecasters.base import Case
from forecasters.dataset import cross_fitting_parts, increments, just_before
from forecasters.fit_steps import told
from forecasters.labels import observed_until
from graph import CascadeView

Floats = NDArray[np.float64]
Fit = Callable[[Tensor, Tensor], Callable[[Tensor], Tensor]]
"""Of features (M, F) and labels log2(1 + increment) (M,): a function from features (B, F) to labels foretold (B,)."""

TEACHERS: Final = 5
"""Each is fitted to four fifths of the cascades and asked of the last fifth."""
FEWEST_CASCADES: Final = 100
"""Fewer teach nothing that the truth does not say better."""
NEAREST, FARTHEST = 2.0, 40.0
"""How many times older than a case a later age is: where little has happened since, teachers know no more than now;
where nearly all has, the label is the truth with its chance."""
LATER_AGES: Final = 4
"""Of each case, uniform in log age; their labels are averaged."""
RESIDUALS: Final = 15
"""Quantiles of the teachers' errors: a mean of logarithms is not the logarithm of a mean."""
_AGE_GROUPS: Final = 8
_SIZE_GROUPS: Final = 6
"""Errors depend on the age and on what is foretold; with fewer cases there are fewer groups."""
_GROUP_CASES: Final = 100


def later_labels(
    cases: Sequence[Case], X: Tensor, features: Callable[[CascadeView, float], Floats], fit: Fit, *, seed: int
) -> Floats:
    """log2(1 + increment) to learn from, (M,), of M cases of one population with the raw features ``X`` (M, F).

    ``features`` of a view and a horizon, (F,), are what ``fit`` learns from. A case that has no later age before its
    horizon or the end of its events keeps its truth; of fewer than `FEWEST_CASCADES` all do. Deterministic given the
    seed and ``fit``.
    """
    truth = np.log2(1.0 + increments(cases))
    if len({case.graph.id for case in cases}) < FEWEST_CASCADES:
        return truth
    part = cross_fitting_parts(cases, TEACHERS, (seed, 3))
    of, gained, later_age, later_X = _later(cases, features, seed)
    if not len(of):
        return truth
    y = torch.from_numpy(truth.astype(np.float32))
    now, later = np.empty(len(cases)), np.empty(len(of))
    for number in range(TEACHERS):
        own, asked = part == number, part[of] == number
        foretell = fit(X[torch.from_numpy(~own)], y[torch.from_numpy(~own)])
        now[own] = foretell(X[torch.from_numpy(own)]).numpy()
        later[asked] = foretell(later_X[torch.from_numpy(asked)]).numpy()
    age = np.array([case.as_of - case.graph.root_time for case in cases])
    spread = _residuals(age, now, truth - now, later_age, later)  # (L, R)
    foretold = np.exp2(np.maximum(later[:, None] + spread, 0.0)) - 1.0
    each = np.log2(1.0 + gained[:, None] + foretold).mean(1)
    count = np.bincount(of, minlength=len(cases))
    return np.where(count > 0, np.bincount(of, each, minlength=len(cases)) / np.maximum(count, 1), truth)


def _later(
    cases: Sequence[Case], features: Callable[[CascadeView, float], Floats], seed: int
) -> tuple[NDArray[np.int64], Floats, Floats, Tensor]:
    """L later looks at the cases: each one's place in ``cases``, gain since, age (L,), and features (L, F)."""
    of, gained, ages, read = [], [], [], []
    for place, case in enumerate(told("features at later ages", cases, every=1000)):
        graph, age = case.graph, max(case.as_of - case.graph.root_time, 1.0)
        first = NEAREST * age
        last = min(FARTHEST * age, observed_until(graph), case.horizon_seconds)
        if first >= last:
            continue
        size = graph.size_at(case.as_of)
        rng = np.random.default_rng((seed, 4, place))
        for later in np.exp(rng.uniform(math.log(first), math.log(last), LATER_AGES)).tolist():
            as_of = just_before(graph.root_time + later)
            of.append(place)
            gained.append(max(0, graph.size_at(as_of) - size))
            ages.append(later)
            read.append(features(graph.view(as_of), case.horizon_seconds).astype(np.float32))
    X = torch.from_numpy(np.stack(read)) if read else torch.zeros(0, 0)
    return np.array(of, dtype=np.int64), np.array(gained, dtype=np.float64), np.array(ages), X


def _residuals(age: Floats, foretold: Floats, residual: Floats, asked_age: Floats, asked: Floats) -> Floats:
    """Quantiles (L, R) of the residuals (M,) of cases that are like those asked, in age and in what is foretold."""
    groups = max(1, min(_AGE_GROUPS, len(age) // (_SIZE_GROUPS * _GROUP_CASES)))
    level = (np.arange(RESIDUALS) + 0.5) / RESIDUALS
    found = np.empty((len(asked), RESIDUALS))
    ends = _inner_quantiles(age, groups)
    of_age, of_asked_age = ends.searchsorted(age), ends.searchsorted(asked_age)
    for group in range(groups):
        rows, wanted = np.flatnonzero(of_age == group), np.flatnonzero(of_asked_age == group)
        if not len(rows):  # many cases of the very same age: no other lies between its quantiles, or past them
            rows = np.arange(len(age))
        sizes = max(1, min(_SIZE_GROUPS, len(rows) // _GROUP_CASES))
        limits = _inner_quantiles(foretold[rows], sizes)
        of_size, of_asked_size = limits.searchsorted(foretold[rows]), limits.searchsorted(asked[wanted])
        everyone = residual[rows]
        for size in range(sizes):
            like = everyone[of_size == size]
            found[wanted[of_asked_size == size]] = np.quantile(like if len(like) else everyone, level)
    return found


def _inner_quantiles(values: Floats, groups: int) -> Floats:
    """The groups - 1 values that part ``values`` into groups of like number."""
    return np.quantile(values, np.arange(1, groups) / groups)
