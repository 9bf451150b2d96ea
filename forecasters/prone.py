"""ProNE (Zhang et al., IJCAI 2019): vectors for the nodes of a large sparse graph, deterministic, in seconds.

A truncated factorisation of the edge matrix, smoothed along the graph by a band-pass filter.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import iv

Floats = NDArray[np.float64]

NEGATIVE_EXPONENT: Final = 0.75
"""Users are drawn as negative examples in proportion to their degree to this power (ProNE, section 3.1)."""
CHEBYSHEV_ORDER: Final = 10
MU, THETA = 0.2, 0.5
"""Centre and width of the band-pass filter, as published with ProNE."""
OVERSAMPLING: Final = 10
POWER_ITERATIONS: Final = 3


def adjacency(edges: NDArray[np.int64], count: int) -> sparse.csr_matrix:
    """Undirected, weighted by how often two users met; every user also meets itself, so that no row is empty."""
    ones = np.ones(len(edges))
    directed = sparse.coo_matrix((ones, (edges[:, 0], edges[:, 1])), shape=(count, count)).tocsr()
    return sparse.csr_matrix(directed + directed.T + sparse.identity(count))


def prone(A: sparse.csr_matrix, width: int, seed: int) -> Floats:
    """ProNE of a symmetric nonnegative adjacency without empty rows: (n, n) -> (n, width), rows of length one."""
    degree = np.asarray(A.sum(axis=1)).ravel()
    walk = sparse.diags(1.0 / degree) @ A
    negative = degree**NEGATIVE_EXPONENT
    negative /= negative.sum()
    # ProNE, equation (4): log of the edge's share among the user's edges over its share among negatives, edges only
    M = walk.tocoo()
    weight = np.log(M.data) - np.log(negative[M.col])
    M = sparse.csr_matrix((np.maximum(weight, 0.0), (M.row, M.col)), shape=A.shape)
    factors = _truncated(M, width, np.random.default_rng(seed))
    return _unit_rows(_filtered(walk, factors))


def _truncated(M: sparse.csr_matrix, width: int, rng: np.random.Generator) -> Floats:
    """U sqrt(S) of the randomised truncated SVD (Halko et al. 2011), (n, width); signs fixed."""
    Q = np.linalg.qr(M @ rng.standard_normal((M.shape[1], width + OVERSAMPLING)))[0]
    for _ in range(POWER_ITERATIONS):
        Q = np.linalg.qr(M @ np.linalg.qr(M.T @ Q)[0])[0]
    U, S, _ = np.linalg.svd((M.T @ Q).T, full_matrices=False)
    factors = (Q @ U)[:, :width] * np.sqrt(S[:width])
    largest = np.abs(factors).argmax(axis=0)
    signs = np.sign(factors[largest, np.arange(width)])
    return np.asarray(factors * np.where(signs == 0.0, 1.0, signs))


def _filtered(walk: sparse.spmatrix, X: Floats) -> Floats:
    """Chebyshev expansion of the Gaussian band-pass filter of the graph's Laplacian (ProNE, section 3.2)."""
    n = X.shape[0]
    laplacian = sparse.identity(n) - walk
    shifted = sparse.csr_matrix(laplacian - MU * sparse.identity(n))
    before, now = X, 0.5 * (shifted @ (shifted @ X)) - X
    total = iv(0, THETA) * X - 2.0 * iv(1, THETA) * now
    sign = 1.0
    for order in range(2, CHEBYSHEV_ORDER):
        before, now = now, (shifted @ (shifted @ now)) - 2.0 * now - before
        total = total + sign * 2.0 * iv(order, THETA) * now
        sign = -sign
    return np.asarray(walk @ (X - total), dtype=np.float64)


def _unit_rows(X: Floats) -> Floats:
    length = np.linalg.norm(X, axis=1, keepdims=True)
    unit: Floats = np.divide(X, length, out=np.zeros_like(X), where=length > 0.0)
    return unit
