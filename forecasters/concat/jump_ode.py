"""ConCat's jump ODE, solved fast: the state flows by dh/dt = f(h, t) between events and jumps through a GRU at each.

For the published linear f the flow has a closed form, so the sequential part is one matrix product and one GRU step an
event; everything else (weight gradients, intensities, their integral) is computed afterwards for all events at once.
All arrays are time-major: (N events, B samples, ...). A batch is right-aligned, so that the flow from the last event to
the common observation time is the same last step for every sample; an absent event has interval 0 and no jump.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

from forecasters.concat.dynamics import DeepDynamics, Dynamics, LinearDynamics

SERIES_TOLERANCE: Final = 1e-7
"""Truncation error of one step relative to the state, about the resolution of float32; most steps stay far below."""
TERM_CHOICES: Final = (3, 4, 6, 8, 12)
STEP_OVERHEAD_TERMS: Final = 4.0
"""What a step costs beside its series, measured in terms: weighs fewer long steps against more short ones."""
DEEP_STEP: Final = 0.02
"""Longest RK4 step of the deep dynamics in units of the observation time."""
GATE_CLOSED: Final = 1e4
"""Added to the update gate of an absent event: sigmoid gives exactly 1, so state and gradient pass unchanged."""


@dataclass(frozen=True, slots=True)
class Path:
    """The solved path as S smooth pieces: h(start + x width) = starts + sum_k x^k scales_k coefficients_k, 0 <= x <= 1.

    Shapes: starts (S, B, d), coefficients (S, B, p, d), scales (S, B, p), widths (S, B), before (N, B, d) the states
    just before each event, final (B, d) the state at time 1. Interval i ends at event i, the last one at time 1; it is
    made of ``splits[i]`` pieces.
    """

    starts: Tensor
    coefficients: Tensor
    scales: Tensor
    widths: Tensor
    before: Tensor
    final: Tensor
    splits: list[int]


def solve(
    dynamics: Dynamics, cell: nn.GRUCell, initial: Tensor, encoded: Tensor, times: Tensor, present: Tensor
) -> Path:
    """Solve one batch from time 0 to time 1, for ConCat the observation time.

    ``initial`` (d,) is the learned h(0-); ``encoded`` (N, B, e); ``times`` (N, B) nondecreasing in [0, 1], 0 where
    absent; ``present`` (N, B) bool. An absent event changes nothing: before a sample's first event at time 0 it pads,
    later on it asks for the state at that time.
    """
    B = times.shape[1]
    h0 = initial.expand(B, -1)
    gates = nn.functional.linear(encoded, cell.weight_ih, cell.bias_ih)  # (N, B, 3d), all events in one product
    r, u, n = gates.chunk(3, dim=2)
    gates = torch.cat([r, u.masked_fill(~present[:, :, None], GATE_CLOSED), n], dim=2)
    zero, one = times.new_zeros(1, B), times.new_ones(1, B)
    widths = torch.diff(torch.cat([zero, times, one]), dim=0)  # (N + 1, B)
    starts = torch.cat([zero, times])
    if isinstance(dynamics, LinearDynamics):
        return _solve_linear(dynamics, cell, h0, gates, starts, widths)
    return _solve_deep(dynamics, cell, h0, gates, starts, widths)


def _split(starts: Tensor, widths: Tensor, splits: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Cut interval i into splits[i] equal steps: (N + 1, B) -> starts and widths of all steps, (S, B)."""
    counts = torch.tensor(splits, device=widths.device)
    index = torch.repeat_interleave(counts)
    first = torch.cumsum(counts, 0) - counts
    within = (torch.arange(len(index), device=widths.device) - first[index])[:, None]
    step = widths[index] / counts[index][:, None]
    return starts[index] + within * step, step


def plan_steps(norms: Sequence[float], longest: Sequence[float]) -> tuple[int, list[int]]:
    """Number of series terms, and of steps for each interval, so that truncation stays below `SERIES_TOLERANCE`.

    ``norms[k - 1]`` bounds |P_k|; ``longest`` the longest interval of the batch at each position. After p terms the
    remainder is at most twice the first term left out, s^(p+1) / (p+1)! |P_{p+1}|, provided s |P_1| <= (p + 2) / 2.
    """
    best: tuple[float, int, list[int]] | None = None
    for terms in TERM_CHOICES:
        limit = (terms + 2) / (2 * max(norms[0], 1e-30))
        if norms[terms] > 0:
            limit = min(limit, (SERIES_TOLERANCE * math.factorial(terms + 1) / (2 * norms[terms])) ** (1 / (terms + 1)))
        splits = [math.ceil(width / limit) for width in longest]
        cost = sum(splits) * (terms + STEP_OVERHEAD_TERMS)
        if best is None or cost < best[0]:
            best = (cost, terms, splits)
    assert best is not None
    return best[1], best[2]


def _solve_linear(
    dynamics: LinearDynamics, cell: nn.GRUCell, h0: Tensor, gates: Tensor, starts: Tensor, widths: Tensor
) -> Path:
    rows = dynamics.power_rows(max(TERM_CHOICES) + 1)  # (13, d, d + 2)
    with torch.no_grad():
        norms = torch.linalg.vector_norm(rows.flatten(1), dim=1).tolist()
        longest = widths.max(dim=1).values.tolist()
    terms, splits = plan_steps(norms, longest)
    starts, widths = _split(starts, widths, splits)
    powers = torch.arange(1, terms + 1, device=widths.device, dtype=widths.dtype)
    scales = widths[:, :, None] ** powers / torch.exp(torch.lgamma(powers + 1))  # s^k / k!, (S, B, p)
    solved: tuple[Tensor, ...] = _LinearJumps.apply(  # type: ignore[no-untyped-call]
        h0, gates, cell.weight_hh, cell.bias_hh, rows[:terms], scales, starts, splits, torch.is_grad_enabled()
    )
    states, coefficients, before, final = solved
    return Path(states, coefficients, scales, widths, before, final, splits)


class _LinearJumps(torch.autograd.Function):
    """The sequential part for linear f, with its gradient by hand: only the state's own recursion stays sequential."""

    @staticmethod
    def forward(
        ctx: Any,
        h0: Tensor,  # (B, d)
        gates: Tensor,  # (N, B, 3d), the events' half of the gates: reset, update, new
        U: Tensor,  # (3d, d), the state's half
        bias: Tensor,  # (3d,)
        rows: Tensor,  # (p, d, d + 2)
        scales: Tensor,  # (S, B, p)
        starts: Tensor,  # (S, B)
        splits: list[int],  # steps of each of the N + 1 intervals
        keep: bool,  # what the gradient needs; a forecast does without, and fresh memory costs as much as arithmetic
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        S, B, p = scales.shape
        N, d = len(gates), h0.shape[1]
        Z = h0.new_empty(S, B, d + 2)  # z = [h, 1, t]
        Z[:, :, d] = 1.0
        Z[:, :, d + 1] = starts
        Q = h0.new_empty(S, B, p * d)  # time derivatives 1..p of the state at the start of each step
        before = h0.new_empty(N, B, d)
        new, hidden, reset_update = (
            h0.new_empty(N if keep else 1, B, width * d).expand(N, B, width * d) for width in (1, 3, 2)
        )
        P, UT = rows.reshape(p * d, d + 2).t(), U.t()
        h, s = h0, 0
        for i, steps in enumerate(splits):
            for _ in range(steps):
                Z[s, :, :d] = h
                torch.mm(Z[s], P, out=Q[s])
                h = torch.baddbmm(h[:, None], scales[s, :, None], Q[s].view(B, p, d))[:, 0]
                s += 1
            if i == N:
                break
            before[i] = h
            torch.addmm(bias, h, UT, out=hidden[i])
            torch.add(gates[i, :, : 2 * d], hidden[i, :, : 2 * d], out=reset_update[i]).sigmoid_()
            r, u = reset_update[i, :, :d], reset_update[i, :, d:]
            torch.addcmul(gates[i, :, 2 * d :], r, hidden[i, :, 2 * d :], out=new[i]).tanh_()
            h = torch.lerp(new[i], h, u)  # (1 - u) n + u h
        if keep:
            ctx.save_for_backward(U, rows, scales, Z, Q, before, new, hidden, reset_update)
        ctx.splits = splits
        return Z[:, :, :d], Q.view(S, B, p, d), before, h.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g_states: Tensor, g_Q: Tensor, g_before: Tensor, g_final: Tensor) -> tuple[Any, ...]:
        U, rows, scales, Z, _, before, new, hidden, reset_update = ctx.saved_tensors
        S, B, p = scales.shape
        N, _, d = before.shape
        r, u = reset_update[..., :d], reset_update[..., d:]
        to_new = (1 - u) * (1 - new * new)  # d h+ / d (new gate before tanh)
        to_reset = to_new * hidden[..., 2 * d :] * r * (1 - r)
        to_update = (before - new) * u * (1 - u)
        slopes = torch.stack([to_reset, to_update, to_new * r], dim=2)  # (N, B, 3, d), of the state's half
        g_hidden = torch.empty_like(slopes)
        g_after = torch.empty_like(before)
        g_Q = g_Q.reshape(S, B, p, d).clone()
        P = rows.reshape(p * d, d + 2)[:, :d].contiguous()
        g, s = g_final, S
        for i in range(N, -1, -1):
            if i < N:
                g_after[i] = g
                torch.mul(slopes[i], g[:, None], out=g_hidden[i])
                g = torch.addcmul(g_before[i], g, u[i]).addmm_(g_hidden[i].view(B, 3 * d), U)
            for _ in range(ctx.splits[i]):
                s -= 1
                g_Q[s].addcmul_(scales[s, :, :, None], g[:, None])
                g = torch.addmm(g + g_states[s], g_Q[s].view(B, p * d), P)
        g_gates = torch.cat([g_after * to_reset, g_after * to_update, g_after * to_new], dim=2)
        flat_hidden = g_hidden.view(N * B, 3 * d)
        g_U = flat_hidden.t() @ before.view(N * B, d)
        g_rows = g_Q.view(S * B, p * d).t() @ Z.view(S * B, d + 2)
        return g, g_gates, g_U, flat_hidden.sum(0), g_rows.view(p, d, d + 2), None, None, None, None


def _solve_deep(
    dynamics: DeepDynamics, cell: nn.GRUCell, h: Tensor, gates: Tensor, starts: Tensor, widths: Tensor
) -> Path:
    """Fixed RK4 steps for a nonlinear f, with the method's own cubic as the path inside a step."""
    N = len(gates)
    splits = [math.ceil(width / DEEP_STEP) for width in widths.max(dim=1).values.tolist()]
    starts, widths = _split(starts, widths, splits)
    states, coefficients, before = [], [], []
    s = 0
    for i, steps in enumerate(splits):
        for _ in range(steps):
            t, w = starts[s][:, None], widths[s][:, None]
            k1 = dynamics(h, t)
            k2 = dynamics(h + w / 2 * k1, t + w / 2)
            k3 = dynamics(h + w / 2 * k2, t + w / 2)
            k4 = dynamics(h + w * k3, t + w)
            middle = k2 + k3
            cubic = torch.stack([k1, middle - 1.5 * k1 - 0.5 * k4, 2 / 3 * (k1 + k4 - middle)], dim=1)
            states.append(h)
            coefficients.append(cubic)  # (B, 3, d)
            h = h + w * cubic.sum(1)
            s += 1
        if i == N:
            break
        before.append(h)
        hidden = nn.functional.linear(h, cell.weight_hh, cell.bias_hh)
        (r, u, n), (r_hidden, u_hidden, n_hidden) = gates[i].chunk(3, dim=1), hidden.chunk(3, dim=1)
        new = torch.tanh(n + torch.sigmoid(r + r_hidden) * n_hidden)
        h = torch.lerp(new, h, torch.sigmoid(u + u_hidden))
    B, d = h.shape
    return Path(
        torch.stack(states) if states else h.new_empty(0, B, d),
        torch.stack(coefficients) if states else h.new_empty(0, B, 3, d),
        widths[:, :, None].expand(-1, -1, 3),
        widths,
        torch.stack(before) if before else h.new_empty(0, B, d),
        h,
        splits,
    )
