"""The fast path of ConCat's jump ODE is the dopri5 solution, in value and gradient, whatever the times and weights."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from forecasters.concat.dynamics import LinearDynamics
from forecasters.concat.intensity import MAX_INTENSITY, Intensity, integrate
from forecasters.concat.jump_ode import SERIES_TOLERANCE, TERM_CHOICES, plan_steps, solve
from tests.forecasters.concat_problems import Problem

LENGTHS = st.lists(st.integers(1, 7), min_size=1, max_size=3)


@settings(max_examples=15)
@given(LENGTHS, st.sampled_from([0.0, 0.5, 1.0, 3.0]), st.integers(0, 10_000), st.booleans())
def test_linear_dynamics_agree_with_dopri5(lengths: list[int], scale: float, seed: int, burst: bool) -> None:
    problem = Problem.of(lengths, scale=scale, seed=seed, burst=burst)
    with torch.no_grad():
        for fast, reference in zip(problem.fast(), problem.dopri5(), strict=True):
            size = float(reference.abs().max()) + 1.0
            assert float((fast - reference).abs().max()) < 1e-5 * size


@settings(max_examples=5)
@given(LENGTHS, st.integers(0, 10_000), st.booleans())
def test_deep_dynamics_agree_with_dopri5(lengths: list[int], seed: int, burst: bool) -> None:
    problem = Problem.of(lengths, seed=seed, deep=True, burst=burst)
    with torch.no_grad():
        for fast, reference in zip(problem.fast(), problem.dopri5(), strict=True):
            torch.testing.assert_close(fast, reference, atol=1e-5, rtol=1e-5)


def test_single_precision_stays_within_1e_4_of_dopri5_at_full_size() -> None:
    single = Problem.of([60, 100, 13, 1], state=64, dtype=torch.float32)
    double = Problem.of([60, 100, 13, 1], state=64)
    with torch.no_grad():
        for fast, reference in zip(single.fast(), double.dopri5(1e-7), strict=True):
            torch.testing.assert_close(fast.double(), reference, atol=1e-4, rtol=0.0)


@pytest.mark.parametrize("scale", [0.0, 1.0])
@pytest.mark.parametrize("deep", [False, True])
def test_gradients_agree_with_those_through_dopri5(scale: float, deep: bool) -> None:
    """At scale 0 too: f vanishes there, but the gradient that makes it grow does not."""
    gradients = []
    for solver in ("fast", "dopri5"):
        problem = Problem.of([5, 2, 6], scale=scale, deep=deep, state=6)
        parameters = problem.parameters()
        before, final, integral = problem.fast() if solver == "fast" else problem.dopri5(1e-9)
        weights = torch.linspace(-1.0, 2.0, before.numel(), dtype=before.dtype).view_as(before)
        loss = (before * weights).sum() + final.pow(3).sum() + integral.log().sum()
        gradients.append(torch.autograd.grad(loss, parameters))
    for fast, reference in zip(*gradients, strict=True):
        torch.testing.assert_close(fast, reference, atol=2e-5, rtol=1e-5)


def test_gradient_by_hand_passes_gradcheck() -> None:
    problem = Problem.of([3, 1], state=3)
    parameters = [p.detach().requires_grad_() for p in problem.dynamics.parameters()]

    def solved(weight: torch.Tensor, bias: torch.Tensor, time: torch.Tensor) -> tuple[torch.Tensor, ...]:
        dynamics = LinearDynamics(3).double()
        tensors = {"linear.weight": weight, "linear.bias": bias, "time.weight": time}
        for name, tensor in tensors.items():
            module = dynamics.get_submodule(name.rpartition(".")[0])
            del module._parameters[name.rpartition(".")[2]]
            setattr(module, name.rpartition(".")[2], tensor)
        path = solve(dynamics, problem.cell, problem.initial, problem.encoded, problem.times, problem.present)
        return path.before, path.final, integrate(problem.intensity, path)

    assert torch.autograd.gradcheck(solved, parameters, atol=1e-6)


@settings(max_examples=25)
@given(LENGTHS, st.integers(1, 5), st.integers(0, 10_000))
def test_padding_changes_nothing(lengths: list[int], padding: int, seed: int) -> None:
    problem = Problem.of(lengths, seed=seed)
    before, final, integral = problem.fast()
    B = len(lengths)
    problem.times = torch.cat([torch.zeros(padding, B, dtype=torch.float64), problem.times])
    problem.present = torch.cat([torch.zeros(padding, B, dtype=torch.bool), problem.present])
    problem.encoded = torch.cat([torch.full((padding, B, 5), 7.0, dtype=torch.float64), problem.encoded])
    padded_before, padded_final, padded_integral = problem.fast()
    present = problem.present[padding:]
    torch.testing.assert_close(padded_before[padding:][present], before[present], atol=1e-9, rtol=0.0)
    torch.testing.assert_close(padded_final, final, atol=1e-9, rtol=0.0)
    torch.testing.assert_close(padded_integral, integral, atol=1e-7, rtol=0.0)


@settings(max_examples=25)
@given(LENGTHS, st.integers(0, 10_000))
def test_a_sample_is_solved_the_same_alone_and_in_company(lengths: list[int], seed: int) -> None:
    problem = Problem.of(lengths, seed=seed)
    _, together, integrals = problem.fast()
    for b in range(len(lengths)):
        path = solve(
            problem.dynamics,
            problem.cell,
            problem.initial,
            problem.encoded[:, b : b + 1],
            problem.times[:, b : b + 1],
            problem.present[:, b : b + 1],
        )
        torch.testing.assert_close(path.final[0], together[b], atol=1e-6, rtol=1e-6)
        torch.testing.assert_close(integrate(problem.intensity, path)[0], integrals[b], atol=1e-5, rtol=0.0)


def test_states_follow_the_exact_flow_of_a_known_system() -> None:
    """dh/dt = -2 h + 1 + 3 t from h(0) has the solution h(t) = C exp(-2t) + 3t/2 - 1/4; an event jumps it at 0.25."""
    dynamics = LinearDynamics(1).double()
    with torch.no_grad():
        dynamics.linear.weight.fill_(-2.0)
        dynamics.linear.bias.fill_(1.0)
        dynamics.time.weight.fill_(3.0)
    cell = nn.GRUCell(1, 1).double()
    times = torch.tensor([[0.25]], dtype=torch.float64)
    encoded = torch.ones(1, 1, 1, dtype=torch.float64)
    path = solve(dynamics, cell, torch.tensor([0.8], dtype=torch.float64), encoded, times, torch.ones(1, 1).bool())

    def flow(h: float, start: float, end: float) -> float:
        constant = (h - 1.5 * start + 0.25) * math.exp(2.0 * start)
        return constant * math.exp(-2.0 * end) + 1.5 * end - 0.25

    before = flow(0.8, 0.0, 0.25)
    assert path.before.item() == pytest.approx(before, abs=1e-7)
    jumped = cell(encoded[0], torch.tensor([[before]], dtype=torch.float64)).item()
    # alignment: after its last event every sample is carried on to the common observation time
    assert path.final.item() == pytest.approx(flow(jumped, 0.25, 1.0), abs=1e-7)


def test_constant_intensity_integrates_to_itself() -> None:
    problem = Problem.of([4, 1, 6])
    with torch.no_grad():
        for parameter in problem.intensity.parameters():
            parameter.zero_()
        _, _, integral = problem.fast()
    constant = MAX_INTENSITY / (1.0 + math.exp(2.0))
    torch.testing.assert_close(integral, torch.full_like(integral, constant))


def test_all_events_at_one_instant_leave_one_smooth_piece() -> None:
    problem = Problem.of([5, 5])
    problem.times = torch.zeros_like(problem.times)
    _, final, integral = problem.fast()
    _, reference, reference_integral = problem.dopri5()
    torch.testing.assert_close(final, reference, atol=1e-7, rtol=0.0)
    torch.testing.assert_close(integral, reference_integral, atol=1e-6, rtol=0.0)


@given(st.floats(0.0, 60.0), st.floats(1e-6, 1.0))
def test_planned_steps_keep_the_series_within_its_tolerance(norm: float, width: float) -> None:
    """For the scalar system dh/dt = norm h the truncated series is that of exp(norm * width)."""
    norms = [norm**k for k in range(1, max(TERM_CHOICES) + 2)]
    terms, (steps,) = plan_steps(norms, [width])
    s = norm * width / steps
    series = sum(s**k / math.factorial(k) for k in range(terms + 1))
    assert abs(series - math.exp(s)) <= SERIES_TOLERANCE + 1e-15 * math.exp(s)


def test_log_intensity_stays_finite_where_the_intensity_underflows() -> None:
    intensity = Intensity(2)
    with torch.no_grad():
        intensity.outer.bias.fill_(-500.0)
    state = torch.zeros(1, 2)
    assert intensity(state).item() == 0.0
    assert math.isfinite(intensity.log(state).item())
