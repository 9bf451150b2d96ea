"""From a cascade to tokens: what happened in each step, and when the next one ends.

Token k tells of the step (ends[k-1], ends[k]]: its reshares and all until then, where in the tree they came, the shape
the tree has by then, and the time of this step and of the next, whose reshares are to be forecast from it. An observed
token carries all of it. A token after the observation carries counts and time only, because that is all that a
roll-out can write into its own tokens; in training its counts are the true ones (teacher forcing).
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forecasters.autocas.config import AutoCasConfig
from forecasters.autocas.steps import Steps, steps_of
from forecasters.first_tree import first_tree
from forecasters.logarithms import bounded_log2
from graph import Cascade, CascadeView

Floats = NDArray[np.float64]

NEW, CUMULATIVE = 0, 1
COUNTS: Final = slice(0, 2)
"""log2(1 + reshares) of the step and until its end."""
SHAPE: Final = slice(2, 9)
"""Mean depth of the step's events, share of them that hang on the root, their mean place within the step; greatest
depth, widest level and share of leaves by its end; followers of the step's authors."""
TIME: Final = slice(9, 24)
"""Ends and widths of this step and the next, whether it was observed, waves of the log age, hour of the next step."""
OBSERVED: Final = 13
TOKEN_SIZE: Final = 24

WAVE_OCTAVES: Final = (2.0, 4.0, 8.0, 16.0)
"""Doublings of age after which a wave of the time code repeats: from one step of the grid to all of a day."""
DEEPEST_LEVEL: Final = 63
"""Deeper events count as one level; keeps the table of levels small for a chain of 100,000."""
DAY_SECONDS: Final = 86_400.0


def tokens_of(view: CascadeView, horizon_seconds: float, config: AutoCasConfig) -> tuple[NDArray[np.float32], Steps]:
    """Raw tokens (n_o + max(0, n_f - 1), TOKEN_SIZE), finite, counts of future steps 0; and the steps.

    The last step before the horizon has no token: nothing is forecast from it.
    """
    steps = steps_of(view.age_seconds, horizon_seconds, config)
    n = max(steps.observed, len(steps.ends) - 1)
    tokens = np.zeros((n, TOKEN_SIZE))
    tokens[:, TIME] = _times(view.root_time, steps, config.audience)[:n]
    _observe(tokens[: steps.observed], view, steps.ends[: steps.observed], config)
    return tokens.astype(np.float32), steps


def next_counts(
    cascade: Cascade, view: CascadeView, steps: Steps, config: AutoCasConfig, *, until_seconds: float
) -> Floats:
    """Reshares of the step after each token, (n,), the targets of teacher forcing; NaN where they are not known.

    n is the number of tokens. Nothing is known of observed steps past the last event that is read, nor of steps that
    end after ``until_seconds``, where the events of the cascade stop.
    """
    n = max(steps.observed, len(steps.ends) - 1)
    cap, ages = config.event_cap, view.ages
    readable = math.inf if cap is None or len(ages) <= cap else float(ages[cap - 1])
    counts = np.full(n, np.nan)
    seen = _reshares_until(view, steps.ends[: steps.observed], cap)
    known = np.flatnonzero(steps.ends[1 : steps.observed] <= readable)
    counts[known] = np.diff(seen)[known]
    before = cascade.size_at(view.as_of)
    for k in range(steps.observed, len(steps.ends)):
        if steps.ends[k] > until_seconds:
            break
        at_end = cascade.size_at(math.nextafter(cascade.root_time + steps.ends[k], -math.inf))
        counts[k - 1] = max(0, at_end - before)
        before = max(before, at_end)
    return counts


def force(tokens: NDArray[np.float32], following: Floats, observed: int) -> None:
    """Write the true counts of the future steps into their tokens (n, TOKEN_SIZE), in place, as far as they are known.

    ``following`` are the `next_counts`; token k >= observed tells of the step whose count is following[k - 1].
    """
    new = following[observed - 1 : len(tokens) - 1]
    seen = np.exp2(tokens[observed - 1, CUMULATIVE].astype(np.float64)) - 1.0
    tokens[observed:, NEW] = bounded_log2(np.nan_to_num(new))
    tokens[observed:, CUMULATIVE] = bounded_log2(seen + np.cumsum(np.nan_to_num(new)))


def _times(root_time: float, steps: Steps, clock: bool) -> Floats:
    """The TIME columns of every step, (n_o + n_f, 15)."""
    ends, widths = steps.ends, steps.ends - steps.starts
    following = np.concatenate((widths[1:], [0.0]))
    doublings = np.log2(1.0 + ends / 60.0)
    waves = [f(2.0 * math.pi * doublings / octaves) for octaves in WAVE_OCTAVES for f in (np.sin, np.cos)]
    hour = np.zeros(len(ends))
    circle = [hour, hour]
    if clock:
        hour = 2.0 * math.pi * np.mod(root_time + ends + following / 2.0, DAY_SECONDS) / DAY_SECONDS
        circle = [np.sin(hour), np.cos(hour)]
    observed = (np.arange(len(ends)) < steps.observed).astype(np.float64)
    spans = [
        doublings,
        bounded_log2(widths / 60.0),
        bounded_log2(following / 60.0),
        bounded_log2((ends + following) / 60.0),
    ]
    return np.array([*spans, observed, *waves, *circle]).T


def _reshares_until(view: CascadeView, ends: Floats, cap: int | None) -> NDArray[np.int64]:
    """Reshares that are read by each of the observed ``ends``, (n_o,); those only counted by the minute come when their
    minute is over."""
    ages = view.ages[:cap][view.reshares[:cap]]
    seen = np.searchsorted(ages, ends, side="right")
    seen[-1] = len(ages)
    if cap is None and view.binned:
        seen += view.binned_until(ends)
        seen[-1] = view.size
    return np.asarray(seen)


def _observe(tokens: Floats, view: CascadeView, ends: Floats, config: AutoCasConfig) -> None:
    """Fill COUNTS and SHAPE of the observed tokens (n_o, TOKEN_SIZE) in place."""
    K, cap = len(ends), config.event_cap
    seen = _reshares_until(view, ends, cap)
    tokens[:, NEW] = bounded_log2(np.diff(np.concatenate(([0], seen))))
    tokens[:, CUMULATIVE] = bounded_log2(seen)

    ages = view.ages[:cap]
    depths, parents = first_tree(view, cap)
    depths = np.minimum(depths, DEEPEST_LEVEL).astype(np.int64)
    step = np.minimum(np.searchsorted(ends, ages, side="left"), K - 1)  # (n,) the step in which each event came
    new, of = slice(1, None), step[1:]  # the root is no event of a step
    events = np.maximum(np.bincount(of, minlength=K), 1)
    width = np.maximum(np.diff(np.concatenate(([0.0], ends))), 1e-9)
    place = np.clip((ages[new] - (ends - width)[of]) / width[of], 0.0, 1.0)
    levels = np.zeros((K, DEEPEST_LEVEL + 1))
    np.add.at(levels, (step, depths), 1.0)
    levels = levels.cumsum(axis=0)  # events on each level by the end of each step
    first_child = np.full(len(ages), K)
    np.minimum.at(first_child, parents[new], of)
    # a child may be stamped before its parent, and neither is a node before it came
    inner = np.bincount(np.maximum(first_child, step), minlength=K + 1)[:K].cumsum()
    nodes = np.bincount(step, minlength=K).cumsum()
    shape = [
        bounded_log2(np.bincount(of, depths[new], minlength=K) / events),
        np.bincount(of, parents[new] == 0, minlength=K) / events,
        np.bincount(of, place, minlength=K) / events,
        bounded_log2(DEEPEST_LEVEL - np.argmax(levels[:, ::-1] > 0, axis=1)),
        bounded_log2(levels.max(axis=1)),
        (nodes - inner) / np.maximum(nodes, 1),
        np.zeros(K),
    ]
    if config.audience:
        followers = view.followers[:cap]
        known = np.where(np.isnan(followers), 0.0, followers).astype(np.float64)
        shape[-1] = bounded_log2(np.bincount(step, known, minlength=K))
    tokens[:, SHAPE] = np.array(shape).T
