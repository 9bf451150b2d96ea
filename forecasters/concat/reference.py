"""ConCat's jump ODE as its authors solve it: torchdiffeq's dopri5, each sample of a batch over its own interval.

Time is re-parameterised so that every interval is x in [0, 1], and h and Lambda are integrated jointly. This is the
reference that the fast path (`jump_ode`, `intensity`) is proved equal to and measured against; nothing else uses it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchdiffeq import odeint, odeint_adjoint

from forecasters.concat.dynamics import Dynamics
from forecasters.concat.intensity import Intensity


class _Interval(nn.Module):
    """d/dx of (h, Lambda) along each sample's own interval [start, start + width], both (B, 1)."""

    def __init__(self, dynamics: Dynamics, intensity: Intensity, start: Tensor, width: Tensor) -> None:
        super().__init__()
        self.dynamics, self.intensity = dynamics, intensity
        self.start, self.width = start, width

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        h, _ = state
        flow = self.dynamics(h, self.start + x * self.width)
        return self.width * flow, self.width[:, 0] * self.intensity(h)


def solve_dopri5(
    dynamics: Dynamics,
    intensity: Intensity,
    cell: nn.GRUCell,
    initial: Tensor,
    encoded: Tensor,
    times: Tensor,
    present: Tensor,
    *,
    tolerance: float = 1e-4,
    adjoint: bool = True,
) -> tuple[Tensor, Tensor, Tensor]:
    """States before each event (N, B, d), final state (B, d), Lambda (B,); arguments as for `jump_ode.solve`."""
    before, _, h, integral = solve_dopri5_at_events(
        dynamics, intensity, cell, initial, encoded, times, present, tolerance=tolerance, adjoint=adjoint
    )
    return before, h, integral


def solve_dopri5_at_events(
    dynamics: Dynamics,
    intensity: Intensity,
    cell: nn.GRUCell,
    initial: Tensor,
    encoded: Tensor,
    times: Tensor,
    present: Tensor,
    *,
    tolerance: float = 1e-4,
    adjoint: bool = True,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """States before each event (N, B, d), Lambda at each event (N, B), final state (B, d), Lambda in the end (B,)."""
    N, B = times.shape
    h, integral = initial.expand(B, -1), times.new_zeros(B)
    ends = times.new_tensor([0.0, 1.0])
    options = {"rtol": tolerance, "atol": tolerance, "method": "dopri5"}
    before, integrals = [], []
    start = times.new_zeros(B)
    for i in range(N + 1):
        end = times[i] if i < N else torch.ones_like(start)
        if bool((end > start).any()):
            # one field an interval: the adjoint reads it again when the gradient runs backwards
            field = _Interval(dynamics, intensity, start[:, None], (end - start)[:, None])
            solver = odeint_adjoint if adjoint else odeint
            solved = solver(field, (h, integral), ends, **options)
            h, integral = solved[0][-1], solved[1][-1]
        start = end
        if i < N:
            before.append(h)
            integrals.append(integral)
            jumped = cell(encoded[i], h)
            h = torch.where(present[i][:, None], jumped, h)
    return torch.stack(before), torch.stack(integrals), h, integral
