"""GraphWave: equal to the definition, whatever the tree, the batch and the numbering of the nodes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from graph.graphwave import SIGNATURE_SIZE, graphwave, graphwave_batch, heat_scales
from streams.bench.graphwave import scipy_graphwave

T_O = 3600.0
Nodes = tuple[NDArray[Any], NDArray[Any]]


def signatures_by_definition(ages: NDArray[np.float64], parents: NDArray[np.int32], t_o: float) -> NDArray[np.float64]:
    """exp(-sL) from all eigenvalues of the normalised Laplacian, then the mean of exp(i t psi), in double
    precision."""
    n = len(ages)
    adjacency = np.zeros((n, n))
    for child in range(1, n):
        weight = max(0.0, 1.0 - ages[child] / t_o)
        adjacency[child, parents[child]] += weight
        adjacency[parents[child], child] += weight
    degree = adjacency.sum(axis=0)
    inverse = np.where(degree > 1e-10, 1.0 / np.sqrt(np.maximum(degree, 1e-10)), 0.0)
    eigenvalues, U = np.linalg.eigh(np.eye(n) - inverse[:, None] * adjacency * inverse)
    parts = []
    for scale in heat_scales(n):
        psi = (U * np.exp(-scale * eigenvalues)) @ U.T
        chi = np.exp(1j * psi[:, :, None] * np.linspace(0, 100, 10)).mean(axis=1)
        parts += [chi.real, chi.imag]
    return np.concatenate(parts, axis=1)


@st.composite
def trees(draw: st.DrawFn, max_nodes: int = 60) -> Nodes:
    """Stars, chains, brooms and everything between; equal ages, and ages at and past the observation,
    occur."""
    n = draw(st.integers(1, max_nodes))
    seed = draw(st.integers(0, 2**32 - 1))
    hubness = draw(st.sampled_from([0.0, 0.5, 0.9, 1.0]))
    spread = draw(st.sampled_from([0.0, 10.0, 600.0, 3000.0, 30_000.0]))
    random = np.random.default_rng(seed)
    ages = np.sort(random.exponential(1.0, n) * spread)
    ages[0] = 0.0
    anywhere = (random.random(n) * np.arange(n)).astype(np.int32)
    hubs = (random.integers(0, 3, n) * (np.arange(n) > 3)).astype(np.int32)
    parents = np.where(random.random(n) < hubness, np.minimum(hubs, np.maximum(np.arange(n) - 1, 0)), anywhere)
    parents[0] = -1
    return ages, parents.astype(np.int32)


def star(leaves: int, seconds_between: float = 10.0) -> Nodes:
    ages = np.arange(leaves + 1) * seconds_between
    return ages, np.array([-1] + [0] * leaves, dtype=np.int32)


def chain(n: int) -> Nodes:
    return np.arange(n) * 10.0, np.arange(-1, n - 1, dtype=np.int32)


@given(trees())
def test_equals_the_definition(tree: Nodes) -> None:
    assert np.abs(graphwave(*tree, T_O) - signatures_by_definition(*tree, T_O)).max() < 1e-4


@given(trees())
def test_equals_the_usual_way_of_computing_it(tree: Nodes) -> None:
    assert np.abs(graphwave(*tree, T_O) - scipy_graphwave(*tree, T_O)).max() < 1e-4


@pytest.mark.parametrize("leaves", [1, 2, 10, 11, 12, 30, 99, 400])
@pytest.mark.parametrize("seconds_between", [0.0, 1.0, 9.0, 36.0, 300.0])
def test_stars_of_any_size_and_spread(leaves: int, seconds_between: float) -> None:
    ages, parents = star(leaves, seconds_between)
    exact = signatures_by_definition(ages, parents, T_O)
    assert np.abs(graphwave(ages, parents, T_O, max_nodes=1000) - exact).max() < 1e-4


@given(st.lists(trees(), min_size=1, max_size=40))
def test_a_batch_changes_nothing(batch: list[Nodes]) -> None:
    together = graphwave_batch(batch, T_O)
    for signatures, tree in zip(together, batch, strict=True):
        n = len(tree[0])
        np.testing.assert_allclose(signatures[:n], graphwave(*tree, T_O), atol=2e-5)
        assert not signatures[n:].any()


@given(trees(), st.integers(0, 2**32 - 1))
def test_numbering_the_nodes_otherwise_numbers_the_signatures_otherwise(tree: Nodes, seed: int) -> None:
    ages, parents = tree
    n = len(ages)
    new_to_old = np.concatenate(([0], 1 + np.random.default_rng(seed).permutation(n - 1))).astype(np.int64)
    old_to_new = np.argsort(new_to_old)
    shuffled = np.where(parents[new_to_old] < 0, -1, old_to_new[parents[new_to_old]])
    np.testing.assert_allclose(
        graphwave(ages[new_to_old], shuffled, T_O), graphwave(ages, parents, T_O)[new_to_old], atol=2e-5
    )


def test_each_cascade_may_have_its_own_observation_age() -> None:
    batch = [star(20), chain(15), star(40)]
    ages = np.array([600.0, 3600.0, 86_400.0])
    for signatures, tree, age in zip(graphwave_batch(batch, ages), batch, ages, strict=True):
        np.testing.assert_allclose(signatures[: len(tree[0])], graphwave(*tree, age), atol=2e-5)


def test_only_the_earliest_nodes_count() -> None:
    ages, parents = star(150)
    np.testing.assert_array_equal(graphwave(ages, parents, T_O, 100), graphwave(ages[:100], parents[:100], T_O, 100))


def test_a_node_whose_parent_is_cut_off_hangs_on_its_nearest_kept_ancestor() -> None:
    ages = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    parents = np.array([-1, 4, 0, 4, 3])  # 1 -> 4 -> 3 -> 4 is no tree; 1 -> 4 -> 2 is
    parents[4], parents[3] = 2, 2
    cut = graphwave(ages, parents, T_O, max_nodes=3)
    np.testing.assert_array_equal(cut, graphwave(ages[:3], np.array([-1, 2, 0]), T_O))


def test_a_root_alone_keeps_its_heat() -> None:
    """n = 1: L is 1 (no edge), so psi = exp(-s) and the signature is exp(i t psi) itself."""
    psi = np.exp(-heat_scales(1))
    t = np.linspace(0, 100, 10)
    expected = np.concatenate([part(t * p) for p in psi for part in (np.cos, np.sin)])
    np.testing.assert_allclose(graphwave(np.zeros(1), np.array([-1]), T_O)[0], expected, atol=1e-4)


def test_observed_at_age_zero() -> None:
    """Everything happened at once: all edges weigh 1, as in the limit."""
    ages, parents = star(12, seconds_between=0.0)
    np.testing.assert_array_equal(graphwave(ages, parents, 0.0), graphwave(ages, parents, T_O))


def test_bounds_of_a_characteristic_function() -> None:
    signatures = graphwave(*star(99), T_O).reshape(100, 2, 2, 10)
    np.testing.assert_allclose(signatures[:, :, 0, 0], 1.0, atol=1e-5)  # t = 0
    np.testing.assert_allclose(signatures[:, :, 1, 0], 0.0, atol=1e-5)
    assert np.hypot(signatures[:, :, 0], signatures[:, :, 1]).max() <= 1 + 1e-5


def test_empty_batch_and_empty_cascade() -> None:
    assert graphwave_batch([], T_O).shape == (0, 0, SIGNATURE_SIZE)
    with pytest.raises(ValueError, match="cascade 1 of the batch has no node"):
        graphwave_batch([star(2), (np.zeros(0), np.zeros(0, dtype=np.int32))], T_O)
