"""Least squares over the simplex: weights that are not negative and sum to 1, by an active-set method."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TOLERANCE: Final = 1e-10
"""Relative to the largest entry of the quadratic form; what is closer to optimal than this is optimal."""


def simplex_minimum(Q: Floats, b: Floats) -> Floats:
    """The w (E,) that minimises w'Qw - 2 b'w over {w >= 0, sum w = 1}; Q (E, E) symmetric, positive definite.

    As Lawson & Hanson (1974, ch. 23) for w >= 0, with the sum as one more equation: weights enter one at a time where
    the objective falls fastest, and leave where they would become negative. Exact after finitely many steps, and
    deterministic.

    >>> simplex_minimum(np.eye(2), np.array([0.0, 0.0])).tolist()
    [0.5, 0.5]
    >>> simplex_minimum(np.eye(2), np.array([0.0, 9.0])).tolist()
    [0.0, 1.0]
    """
    E = len(b)
    scale = max(float(np.abs(Q).max()), float(np.abs(b).max()), np.finfo(np.float64).tiny)
    free = np.zeros(E, np.bool_)
    free[int(np.argmin(np.diag(Q) - 2.0 * b))] = True
    w = free.astype(np.float64)
    for _ in range(3 * E * E):  # each subset is visited once at most; a handful in practice
        slope = Q @ w - b  # half the gradient
        bound = np.flatnonzero(~free)
        level = float(slope[free].mean())  # equal on all free weights at an optimum
        if not bound.size or float(slope[bound].min()) >= level - TOLERANCE * scale:
            return w
        free[bound[int(np.argmin(slope[bound]))]] = True
        w = _descend(Q, b, w, free)
    return w


def _descend(Q: Floats, b: Floats, w: Floats, free: NDArray[np.bool_]) -> Floats:
    """Move to the optimum over the free weights; those that reach 0 on the way are bound (``free`` is changed)."""
    while True:
        wanted = _on_face(Q, b, free)
        negative = free & (wanted <= 0.0)
        if not negative.any():
            return wanted
        steps = np.full(len(w), np.inf)
        steps[negative] = w[negative] / np.maximum(w[negative] - wanted[negative], np.finfo(np.float64).tiny)
        first = int(np.argmin(steps))
        w = np.maximum(w + min(1.0, float(steps[first])) * (wanted - w), 0.0)
        w[first] = 0.0
        free[first] = False
        if free.sum() == 0:  # pragma: no cover - the sum of the weights is 1, so one of them is above 0
            free[int(np.argmax(w))] = True


def _on_face(Q: Floats, b: Floats, free: NDArray[np.bool_]) -> Floats:
    """The optimum with sum 1 over the free weights, of any sign; the others 0."""
    chosen = np.flatnonzero(free)
    F = len(chosen)
    system = np.ones((F + 1, F + 1))
    system[:F, :F] = Q[np.ix_(chosen, chosen)]
    system[F, F] = 0.0
    w = np.zeros(len(b))
    w[chosen] = np.linalg.solve(system, np.append(b[chosen], 1.0))[:F]
    return w
