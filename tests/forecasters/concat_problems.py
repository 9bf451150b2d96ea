"""Random jump-ODE problems: irregular times, perturbed dynamics, ragged batches."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from forecasters.concat.dynamics import DeepDynamics, Dynamics, LinearDynamics, perturb
from forecasters.concat.intensity import Intensity, integrate
from forecasters.concat.jump_ode import solve
from forecasters.concat.reference import solve_dopri5


@dataclass
class Problem:
    """One batch; times are right-aligned, present says which events exist. Time-major, as `solve` takes them."""

    dynamics: Dynamics
    intensity: Intensity
    cell: nn.GRUCell
    initial: Tensor
    encoded: Tensor
    times: Tensor
    present: Tensor

    @classmethod
    def of(
        cls,
        lengths: list[int],
        *,
        scale: float = 1.0,
        seed: int = 0,
        state: int = 8,
        deep: bool = False,
        burst: bool = False,
        dtype: torch.dtype = torch.float64,
    ) -> Problem:
        """``scale`` multiplies the perturbation of f; ``burst`` puts the events at a handful of instants."""
        generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            dynamics: Dynamics = DeepDynamics(state) if deep else LinearDynamics(state)
            intensity, cell = Intensity(state), nn.GRUCell(5, state)
        perturb(dynamics, scale, generator)
        N, B = max(lengths), len(lengths)
        times = torch.rand(N, B, generator=generator, dtype=torch.float64) ** 3
        if burst:
            times = torch.floor(times * 4) / 4
        times = times.sort(dim=0).values
        present = torch.arange(N)[:, None] >= N - torch.tensor(lengths)
        times = torch.where(present, times, 0.0)
        initial = torch.randn(state, generator=generator)
        encoded = torch.randn(N, B, 5, generator=generator)
        for module in (dynamics, intensity, cell):
            module.to(dtype)
        return cls(dynamics, intensity, cell, initial.to(dtype), encoded.to(dtype), times.to(dtype), present)

    def fast(self) -> tuple[Tensor, Tensor, Tensor]:
        """States before each event, the final state, and Lambda, by the shipped solver."""
        path = solve(self.dynamics, self.cell, self.initial, self.encoded, self.times, self.present)
        return path.before, path.final, integrate(self.intensity, path)

    def dopri5(self, tolerance: float = 1e-8) -> tuple[Tensor, Tensor, Tensor]:
        """The same three by torchdiffeq, differentiable through its own steps."""
        return solve_dopri5(
            self.dynamics,
            self.intensity,
            self.cell,
            self.initial,
            self.encoded,
            self.times,
            self.present,
            tolerance=tolerance,
            adjoint=False,
        )

    def parameters(self) -> list[Tensor]:
        """Everything a gradient can be taken of; made to require it."""
        modules = (self.dynamics, self.intensity, self.cell)
        inputs = [self.initial.requires_grad_(), self.encoded.requires_grad_()]
        return inputs + [p for module in modules for p in module.parameters()]
