"""Least squares over the simplex, against every face tried one by one."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from forecasters.blend.simplex import simplex_minimum


def by_every_face(Q: np.ndarray, b: np.ndarray) -> float:
    """The least objective over the simplex: the optimum lies inside one of the 2^E - 1 faces."""
    E, best = len(b), np.inf
    for size in range(1, E + 1):
        for face in combinations(range(E), size):
            chosen = list(face)
            system = np.block([[Q[np.ix_(chosen, chosen)], np.ones((size, 1))], [np.ones((1, size)), np.zeros((1, 1))]])
            w = np.linalg.solve(system, np.append(b[chosen], 1.0))[:size]
            if (w >= 0).all():
                best = min(best, float(w @ Q[np.ix_(chosen, chosen)] @ w - 2 * b[chosen] @ w))
    return best


@given(st.integers(1, 6), st.integers(0, 10_000), st.floats(1e-3, 1e3), st.floats(0, 100))
def test_finds_the_least_objective_of_all_faces(E: int, seed: int, ridge: float, scale: float) -> None:
    rng = np.random.default_rng(seed)
    errors = rng.normal(size=(8, E)) * scale + rng.normal(size=(8, 1))
    Q, b = errors.T @ errors + ridge * np.eye(E), rng.normal(size=E) * ridge
    w = simplex_minimum(Q, b)
    assert (w >= 0).all()
    assert np.isclose(w.sum(), 1.0)
    least = by_every_face(Q, b)
    assert w @ Q @ w - 2 * b @ w <= least + 1e-7 * max(1.0, abs(least))


def test_experts_alike_share_evenly() -> None:
    np.testing.assert_allclose(simplex_minimum(np.ones((3, 3)) + 1e-6 * np.eye(3), np.zeros(3)), np.full(3, 1 / 3))


def test_one_expert_gets_everything() -> None:
    assert simplex_minimum(np.array([[4.0]]), np.array([1.0])).tolist() == [1.0]
