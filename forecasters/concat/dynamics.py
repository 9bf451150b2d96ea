"""How the latent state moves between events: dh/dt = f(h, t), zero at the start of training as published."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class LinearDynamics(nn.Module):
    """f(h, t) = A h + b + w t: one linear layer in the state plus a linear time term, both zero-initialised.

    Because f is linear, z = [h, 1, t] obeys dz/dt = M z with a constant M, so that
    h(t + s) = h(t) + sum_k s^k / k! P_k z(t), where P_k are the first d rows of M^k.
    """

    def __init__(self, state_size: int) -> None:
        super().__init__()
        self.state_size = state_size
        self.linear = nn.Linear(state_size, state_size)
        self.time = nn.Linear(1, state_size, bias=False)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        nn.init.zeros_(self.time.weight)

    def forward(self, state: Tensor, time: Tensor) -> Tensor:
        """dh/dt for ``state`` (..., d) at ``time`` (..., 1)."""
        out: Tensor = self.linear(state) + self.time(time)
        return out

    def power_rows(self, terms: int) -> Tensor:
        """P_1 .. P_terms, shape (terms, d, d + 2): row block k maps z to the k-th time derivative of h."""
        d, A = self.state_size, self.linear.weight
        rows = [torch.cat([A, self.linear.bias[:, None], self.time.weight], dim=1)]  # P_1 = [A, b, w]
        for _ in range(terms - 1):
            P = rows[-1]
            # P_{k+1} = P_k M, M = [[A, b, w], [0, 0, 0], [0, 1, 0]]: only column 1 gains what the column of t held
            H = P[:, :d] @ rows[0]
            rows.append(torch.cat([H[:, :d], H[:, d : d + 1] + P[:, d + 1 :], H[:, d + 1 :]], dim=1))
        return torch.stack(rows)


class DeepDynamics(nn.Module):
    """The published deeper form: d -> d -> d with softplus, plus the linear time term; the last layer starts at 0."""

    def __init__(self, state_size: int) -> None:
        super().__init__()
        self.state_size = state_size
        last = nn.Linear(state_size, state_size)
        self.layers = nn.Sequential(
            nn.Linear(state_size, state_size),
            nn.Softplus(),
            nn.Linear(state_size, state_size),
            nn.Softplus(),
            last,
        )
        self.time = nn.Linear(1, state_size, bias=False)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        nn.init.zeros_(self.time.weight)

    def forward(self, state: Tensor, time: Tensor) -> Tensor:
        """dh/dt for ``state`` (..., d) at ``time`` (..., 1)."""
        out: Tensor = self.layers(state) + self.time(time)
        return out


Dynamics = LinearDynamics | DeepDynamics


def perturb(dynamics: Dynamics, scale: float, generator: torch.Generator) -> None:
    """Move the dynamics off their zero start in place: a solver that is only tested on f = 0 is not tested."""
    with torch.no_grad():
        for parameter in dynamics.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float32)
            parameter.add_(noise.to(parameter), alpha=scale / math.sqrt(dynamics.state_size))
