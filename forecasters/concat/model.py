"""ConCat as a network: events in, log2(1 + increment) and the likelihood of the observed events out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from forecasters.concat.config import ConCatConfig
from forecasters.concat.dynamics import DeepDynamics, Dynamics, LinearDynamics
from forecasters.concat.encoder import EventEncoder
from forecasters.concat.intensity import Intensity, integrate
from forecasters.concat.jump_ode import solve

FLOOR_SHARPNESS: Final = 4.0
"""Of the softplus that keeps a corrected linear forecast at 0 or above; past one doubling it adds under 0.005."""


@dataclass(frozen=True, slots=True)
class Batch:
    """B prepared observations, right-aligned: a sample's absent events come first.

    Shapes: times (B, N) in [0, 1], 0 where absent; present (B, N) bool; graphwave (B, N, 40); users (B, N, g) or None;
    side (B, F), standardised, and baseline (B,), the linear forecast of log2(1 + increment), or both None.
    """

    times: Tensor
    present: Tensor
    graphwave: Tensor
    users: Tensor | None = None
    side: Tensor | None = None
    baseline: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """Shapes: growth (B,) = log2(1 + increment) >= 0; log_likelihood (B,); integral (B,) = Lambda(t_o)."""

    growth: Tensor
    log_likelihood: Tensor
    integral: Tensor


class ConCatNet(nn.Module):
    """Encoder, jump ODE, intensity and head of arXiv 2409.16623; ``side_size`` features join the head when rolling.

    The published head is softplus(MLP([h(t_o); Lambda(t_o)])). With side features, the MLP (its last layer starting
    at zero) corrects a linear forecast made from them, which it can then only improve upon.
    """

    def __init__(self, config: ConCatConfig, side_size: int = 0) -> None:
        super().__init__()
        d = config.state_size
        self.encoder = EventEncoder(config)
        self.initial = nn.Parameter(torch.randn(d) * 0.1)  # h(0-), learned
        self.dynamics: Dynamics = LinearDynamics(d) if config.dynamics == "linear" else DeepDynamics(d)
        self.jump = nn.GRUCell(config.encoded_size, d)
        self.intensity = Intensity(d)
        self.state = nn.Sequential(nn.Linear(d + 1, d), nn.Softplus(), nn.Dropout(config.dropout))
        self.side = (
            nn.Sequential(nn.Linear(side_size, config.side_hidden), nn.Softplus(), nn.Dropout(config.dropout))
            if side_size
            else None
        )
        self.head = nn.Linear(d + (config.side_hidden if side_size else 0), 1)
        if side_size:
            nn.init.zeros_(self.head.weight)
            nn.init.zeros_(self.head.bias)

    def start_at(self, growth: float) -> None:
        """Let the untrained network forecast ``growth`` = log2(1 + increment) whatever it sees: a head start."""
        with torch.no_grad():
            self.head.weight.zero_()
            self.head.bias.fill_(growth + math.log(-math.expm1(-max(growth, 1e-3))))  # inverse of softplus

    def forward(self, batch: Batch, *, likelihood: bool = True) -> Output:
        """Forecast a batch; without ``likelihood`` the log likelihood is left at 0, which saves time."""
        encoded = self.encoder(batch.graphwave, batch.users, batch.times, batch.present)
        times, present = batch.times.t(), batch.present.t()  # time-major from here on
        path = solve(self.dynamics, self.jump, self.initial, encoded.transpose(0, 1), times, present)
        integral = integrate(self.intensity, path)
        log_likelihood = torch.zeros_like(integral)
        if likelihood:
            # sum_i log lambda(t_i^-) - Lambda(t_o)
            before = path.before[present]  # (events, d)
            rows = present.nonzero()[:, 1]
            log_likelihood = torch.zeros_like(integral).index_add(0, rows, self.intensity.log(before)) - integral
        hidden = self.state(torch.cat([path.final, torch.log1p(integral)[:, None]], dim=1))
        if self.side is None:
            growth = nn.functional.softplus(self.head(hidden).squeeze(1))
        else:
            assert batch.side is not None
            assert batch.baseline is not None
            correction = self.head(torch.cat([hidden, self.side(batch.side)], dim=1)).squeeze(1)
            growth = nn.functional.softplus(batch.baseline + correction, beta=FLOOR_SHARPNESS)
        return Output(growth, log_likelihood, integral)


def training_loss(output: Output, growth: Tensor, events: Tensor, likelihood_weight: float) -> Tensor:
    """MSLE - weight * (1 / #events) * sum over cascades (sum_i log lambda(t_i^-) - Lambda(t_o)).

    ``growth`` (B,) are the true log2(1 + increment), ``events`` the number of events of the batch.
    """
    msle = torch.mean((output.growth - growth) ** 2)
    return msle - likelihood_weight * output.log_likelihood.sum() / events
