"""How well scores find the posts of the top share: precision, recall and average precision, exact under ties.

Scores that count reposts are often tied, and how a library happens to order ties would decide the figure. All figures
here are expectations over all orders of the tied posts. Shapes: scores (n,), top (n,) booleans. Weights (R, n) say how
often a bootstrap sample drew each post; a post that was drawn twice counts as two that are tied.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Counts = NDArray[np.integer[Any]]

RESAMPLES: Final = 500
_CHUNK: Final = 50
"""Samples drawn at once: fifty of fifty thousand posts are 20 MB."""


def average_precision(scores: Floats, top: Flags) -> float:
    """Expected average precision over all orders of tied scores; raises `ValueError` when no post is in the top."""
    return float(weighted_average_precision(scores, top, np.ones((1, len(scores)), dtype=np.int64))[0])


def weighted_average_precision(scores: Floats, top: Flags, weights: Counts) -> Floats:
    """`average_precision` of each of R samples, (R,); NaN for a sample without a post of the top.

    Among N posts before a group of n tied ones, P of them and p of the group in the top, the post at place j of the
    group is in the top with probability p/n, then P + 1 + (j - 1)(p - 1)/(n - 1) are expected among the first N + j.
    Summed over j with harmonic numbers: (j - 1)/(N + j) = 1 - (N + 1)/(N + j).
    """
    if not top.any():
        raise ValueError("no post is in the top share")
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    begins = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
    drawn = weights[:, order]
    n = np.add.reduceat(drawn, begins, axis=1, dtype=np.int64)  # (R, groups)
    p = np.add.reduceat(drawn * top[order], begins, axis=1, dtype=np.int64)
    before, hits = np.cumsum(n, axis=1) - n, np.cumsum(p, axis=1) - p
    harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1.0, n.sum(axis=1).max() + 1.0))])
    gained = harmonic[before + n] - harmonic[before]
    others = (p - 1) / np.maximum(n - 1, 1)
    group = p / np.maximum(n, 1) * ((hits + 1) * gained + others * (n - (before + 1) * gained))
    total = p.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(group.sum(axis=1) / total)


def resampled(n: int, *, resamples: int = RESAMPLES, seed: int = 0) -> list[Counts]:
    """Bootstrap weights of n posts in chunks (r, n), the same for every rule: rules are compared pair by pair."""
    rng = np.random.default_rng(seed)
    found: list[Counts] = []
    for first in range(0, resamples, _CHUNK):
        rows = min(_CHUNK, resamples - first)
        drawn = rng.integers(0, n, size=(rows, n)) + n * np.arange(rows)[:, None]
        found.append(np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(np.int16))
    return found


def precision_at(scores: Floats, top: Flags, alerts: int) -> float:
    """Expected share of the top among the ``alerts`` (at least 1) posts of the highest scores; ties as above."""
    order = np.argsort(-scores, kind="stable")
    cut = scores[order[min(alerts, len(scores)) - 1]]
    above, tied = scores > cut, scores == cut
    drawn = (alerts - np.count_nonzero(above)) / np.count_nonzero(tied)
    return float((np.count_nonzero(top & above) + min(drawn, 1.0) * np.count_nonzero(top & tied)) / alerts)
