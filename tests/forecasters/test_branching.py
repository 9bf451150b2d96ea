"""The renewal arithmetic against closed forms and against simulated processes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from forecasters.branching import (
    OmoriKernel,
    PlateauKernel,
    excitation_matrix,
    expected_counts,
    interpolate_rows,
)

KERNELS = [OmoriKernel(0.3, 60.0), OmoriKernel(0.05, 1200.0), PlateauKernel(0.242, 300.0)]
each_kernel = pytest.mark.parametrize("kernel", KERNELS, ids=str)


def density(kernel: OmoriKernel | PlateauKernel, s: float) -> float:
    """phi as the papers write it."""
    if isinstance(kernel, OmoriKernel):
        return kernel.theta * kernel.c**kernel.theta * (s + kernel.c) ** -(1 + kernel.theta)
    return kernel.height * min(1.0, (s / kernel.s0) ** -(1 + kernel.theta) if s > 0 else 1.0)


@each_kernel
def test_integrals_of_the_kernel_agree_with_quadrature(kernel: OmoriKernel | PlateauKernel) -> None:
    for s in (1.0, 100.0, 299.0, 301.0, 5000.0):
        knots = [x for x in (300.0,) if x < s]
        first = quad(lambda x: density(kernel, x), 0, s, points=knots or None)[0]
        assert kernel.cumulative(np.array([s]))[0] == pytest.approx(first, rel=1e-6)
        second = quad(lambda x: kernel.cumulative(np.array([x]))[0], 0, s, points=knots or None)[0]
        assert kernel.twice_cumulative(np.array([s]))[0] == pytest.approx(second, rel=1e-6)


@each_kernel
def test_a_kernel_is_a_distribution_of_delays(kernel: OmoriKernel | PlateauKernel) -> None:
    s = np.geomspace(0.1, 1e12, 100)
    cumulative = kernel.cumulative(s)
    assert (np.diff(cumulative) > 0).all()
    assert cumulative[-1] <= 1.0
    assert kernel.cumulative(np.zeros(1))[0] == kernel.twice_cumulative(np.zeros(1))[0] == 0.0


def test_the_paper_s_constant_of_seismic_is_its_normalisation() -> None:
    assert PlateauKernel(0.242, 300.0).height == pytest.approx(6.27e-4, rel=0.04)


@each_kernel
def test_excitation_counts_every_child_once(kernel: OmoriKernel | PlateauKernel) -> None:
    edges = np.concatenate([[0.0], np.geomspace(10, 1e5, 40)])
    children = excitation_matrix(edges, kernel.twice_cumulative).sum(axis=0)
    # An event spread over bin j has had its children by the last edge with the mean of Phi over the bin.
    ends = [
        quad(lambda x: kernel.cumulative(np.array([edges[-1] - x]))[0], a, b)[0] / (b - a) for a, b in pairwise(edges)
    ]
    np.testing.assert_allclose(children, ends, rtol=1e-5)


@given(ratio=st.floats(0.0, 2.0), rate=st.floats(0.01, 2.0))
def test_an_exponential_process_grows_as_its_closed_form_says(ratio: float, rate: float) -> None:
    """Immigrants at rate 1, phi(s) = b exp(-b s): the intensity is 1 + n b (e^(gu) - 1) / g with g = (n - 1)
    b."""
    edges = np.linspace(0.0, 3.0, 301)
    matrix = excitation_matrix(edges, lambda s: s + np.expm1(-rate * s) / rate)
    found = np.cumsum(expected_counts(np.diff(edges), np.array(ratio), matrix))
    growth = (ratio - 1.0) * rate
    u = edges[1:]
    expected = u + ratio * rate * (u**2 / 2 if abs(growth) < 1e-6 else (np.expm1(growth * u) / growth - u) / growth)
    np.testing.assert_allclose(found, expected, rtol=0.01)


def test_a_subcritical_process_ends_at_the_sum_of_its_generations() -> None:
    edges = np.concatenate([[0.0], np.geomspace(1.0, 1e9, 120)])
    kernel = OmoriKernel(0.8, 10.0)
    matrix = excitation_matrix(edges, kernel.twice_cumulative)
    direct = 5.0 * np.diff(kernel.cumulative(edges))
    for ratio in (0.0, 0.3, 0.7):
        found = expected_counts(direct, np.array(ratio), matrix).sum()
        assert found == pytest.approx(5.0 / (1.0 - ratio), rel=1e-3)


@pytest.mark.parametrize("ratio", [0.6, 1.2])
def test_the_mean_of_simulated_cascades_is_the_expectation_also_when_supercritical(ratio: float) -> None:
    rng = np.random.default_rng(0)
    kernel, horizon, runs = OmoriKernel(0.5, 60.0), 600.0, 3000
    total = 0
    for _ in range(runs):
        generation = np.zeros(5)  # five parents now
        while len(generation):
            children = np.repeat(generation, rng.poisson(ratio, len(generation)))
            children = children + kernel.c * (rng.uniform(size=len(children)) ** (-1 / kernel.theta) - 1)
            generation = children[children < horizon]
            total += len(generation)
    edges = np.concatenate([[0.0], np.geomspace(2.0, horizon, 60)])
    matrix = excitation_matrix(edges, kernel.twice_cumulative)
    direct = 5 * ratio * np.diff(kernel.cumulative(edges))
    assert expected_counts(direct, np.array(ratio), matrix).sum() == pytest.approx(total / runs, rel=0.04)


def test_growth_beyond_the_bins_stops_at_the_cap_instead_of_overflowing() -> None:
    edges = np.concatenate([[0.0], np.geomspace(1.0, 1e9, 60)])
    matrix = excitation_matrix(edges, OmoriKernel(0.5, 10.0).twice_cumulative)
    found = expected_counts(np.ones(60), np.array(50.0), matrix)
    assert np.isfinite(found).all()
    assert (found >= 0).all()


def test_interpolation_is_linear_row_by_row_and_flat_outside() -> None:
    grid = np.array([0.0, 1.0, 3.0])
    values = np.array([[0.0, 10.0, 20.0], [0.0, 1.0, 1.0]])
    at = np.array([[0.0, 0.5, 2.0, 9.0], [0.25, 1.0, 3.0, 3.0]])
    np.testing.assert_allclose(interpolate_rows(at, grid, values), [[0, 5, 15, 20], [0.25, 1, 1, 1]])
