"""Batched GraphWave against the usual way, one sparse graph after another, on the same cascades in the same
run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray

from graph.graphwave import POINTS, graphwave_batch, heat_scales
from graph.simulation import Simulation
from graph.simulator import simulated_tree
from graph.star_points import PHASE_END
from streams.bench.timing import fastest

BATCH: Final = 64
MAX_NODES: Final = 100
OBSERVATION_SECONDS: Final = 3600.0
ORDER: Final = 30
"""Chebyshev terms of the authors' code."""

Nodes = tuple[NDArray[np.float64], NDArray[np.int32]]


def run(progress: Callable[[str], None] | None = None) -> list[dict[str, Any]]:
    """One row: cascades a second of the batched code, and of SciPy's as reference."""
    say = progress or (lambda _: None)
    batch = weibo_like_batch()
    say(f"GraphWave of {BATCH} cascades, batched")
    ours = fastest(lambda: graphwave_batch(batch, OBSERVATION_SECONDS, MAX_NODES))
    say(f"GraphWave of {BATCH} cascades, SciPy one by one")
    theirs = fastest(lambda: [scipy_graphwave(ages, parents, OBSERVATION_SECONDS) for ages, parents in batch])
    return [
        {
            "name": "graphwave",
            "value": round(BATCH / ours, 1),
            "unit": "cascades/s",
            "reference": f"SciPy sparse Chebyshev of order {ORDER}, one cascade after another",
            "reference_value": round(BATCH / theirs, 1),
            "ratio": round(theirs / ours, 1),
        }
    ]


def weibo_like_batch(count: int = BATCH, seed: int = 0) -> list[Nodes]:
    """The first hour of ``count`` simulated cascades of 10 to 100 nodes, as (ages, parents)."""
    simulation, number = Simulation(seed=seed, mean_size=300.0, tail=1.1), 0
    batch: list[Nodes] = []
    while len(batch) < count:
        ages, parents = simulated_tree(simulation, number)
        seen = min(int(np.searchsorted(ages, OBSERVATION_SECONDS)), MAX_NODES)
        number += 1
        if seen >= 10:
            batch.append((ages[:seen], parents[:seen]))
    return batch


def scipy_graphwave(
    ages: NDArray[np.float64], parents: NDArray[np.int32], observation_seconds: float
) -> NDArray[np.float64]:
    """Signatures (n, 40) of one cascade the usual way: sparse Chebyshev recurrence, then all sines at once.

    Columns as those of `graphwave_batch`.
    """
    n = len(ages)
    child, parent = np.arange(1, n), parents[1:]
    weight = np.clip(1.0 - ages[1:] / observation_seconds, 0.0, None)
    ends = (np.concatenate((child, parent)), np.concatenate((parent, child)))
    adjacency = sparse.csr_matrix((np.concatenate((weight, weight)), ends), shape=(n, n))
    degree = np.asarray(adjacency.sum(axis=0)).ravel()
    inverse = np.zeros(n)
    inverse[degree > 1e-10] = degree[degree > 1e-10] ** -0.5
    scale = sparse.diags(inverse)
    shifted = -(scale @ adjacency @ scale).tocsr()  # L - I: the Laplacian's [0, 2] moved to [-1, 1]
    terms = [sparse.identity(n, format="csr"), shifted]
    for _ in range(ORDER - 1):
        terms.append(2 * shifted @ terms[-1] - terms[-2])
    points = np.linspace(0.0, PHASE_END, POINTS)
    parts = []
    for heat_scale in heat_scales(n):
        factors = chebyshev_of_heat(float(heat_scale))
        psi = sum(factor * term for factor, term in zip(factors, terms, strict=True)).toarray()
        angles = psi[:, :, None] * points
        parts += [np.cos(angles).mean(axis=1), np.sin(angles).mean(axis=1)]
    return np.concatenate(parts, axis=1)


def chebyshev_of_heat(scale: float) -> NDArray[np.float64]:
    """Chebyshev coefficients (ORDER + 1,) of exp(-scale (x + 1)) on [-1, 1], by quadrature at twice as many
    points."""
    angles = (np.arange(2 * ORDER) + 0.5) * np.pi / (2 * ORDER)
    values = np.exp(-scale * (np.cos(angles) + 1.0))
    factors = np.cos(np.outer(np.arange(ORDER + 1), angles)) @ values / ORDER
    factors[0] /= 2
    return np.asarray(factors)
