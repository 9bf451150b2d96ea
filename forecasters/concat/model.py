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
from forecasters.concat.intensity import QUADRATURE_TOLERANCE, TRAINING_TOLERANCE, Intensity, integrate
from forecasters.concat.jump_ode import solve

FLOOR_SHARPNESS: Final = 4.0
"""Of the softplus that keeps a corrected forecast at 0 or above; past one doubling it adds under 0.005."""


@dataclass(frozen=True, slots=True)
class Batch:
    """B prepared observations, right-aligned: a sample's absent events come first.

    Shapes: times (B, N) in [0, 1], 0 where absent; present (B, N) bool; graphwave (B, N, 40); users (B, N, g) or None;
    side (B, F), standardised, or None.
    """

    times: Tensor
    present: Tensor
    graphwave: Tensor
    users: Tensor | None = None
    side: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """Shapes: growth (B,) = log2(1 + increment) >= 0; log_likelihood (B,); integral (B,) = Lambda(t_o)."""

    growth: Tensor
    log_likelihood: Tensor
    integral: Tensor


class ConCatNet(nn.Module):
    """Encoder, jump ODE, intensity and head of arXiv 2409.16623; ``side_size`` features join the head when rolling.

    The published head is softplus(MLP([h(t_o); Lambda(t_o)])). With side features, a small network forecasts from
    them, and the head, starting at zero, corrects that forecast by what the sequence tells.
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
        self.side = _side_network(side_size, config) if side_size else None
        self.side_head = nn.Linear(config.side_hidden, 1) if side_size else None
        self.head = nn.Linear(d + (config.side_hidden if side_size else 0), 1)
        if side_size:
            nn.init.zeros_(self.head.weight)
            nn.init.zeros_(self.head.bias)

    def start_at(self, growth: float) -> None:
        """Let the untrained network forecast about ``growth`` = log2(1 + increment) whatever it sees: a head start."""
        out = self.head if self.side_head is None else self.side_head
        sharpness = 1.0 if self.side_head is None else FLOOR_SHARPNESS
        growth = max(growth, 1e-3) * sharpness
        with torch.no_grad():
            out.weight.zero_()
            out.bias.fill_((growth + math.log(-math.expm1(-growth))) / sharpness)  # inverse of softplus

    def side_forecast(self, side: Tensor) -> tuple[Tensor, Tensor]:
        """From side features (B, F) alone: log2(1 + increment) before the floor (B,), and the hidden layer."""
        assert self.side is not None
        assert self.side_head is not None
        hidden = self.side(side)
        return self.side_head(hidden).squeeze(1), hidden

    def forward(self, batch: Batch, *, likelihood: bool = True) -> Output:
        """Forecast a batch; without ``likelihood`` the log likelihood is left at 0, which saves time."""
        encoded = self.encoder(batch.graphwave, batch.users, batch.times, batch.present)
        times, present = batch.times.t(), batch.present.t()  # time-major from here on
        path = solve(self.dynamics, self.jump, self.initial, encoded.transpose(0, 1), times, present)
        tolerance = TRAINING_TOLERANCE if self.training else QUADRATURE_TOLERANCE
        integral = integrate(self.intensity, path, tolerance)
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
            from_side, side_hidden = self.side_forecast(batch.side)
            correction = self.head(torch.cat([hidden, side_hidden], dim=1)).squeeze(1)
            growth = floored(from_side + correction)
        return Output(growth, log_likelihood, integral)


def floored(growth: Tensor) -> Tensor:
    """``growth`` kept at 0 or above, smoothly."""
    return nn.functional.softplus(growth, beta=FLOOR_SHARPNESS)


def _side_network(side_size: int, config: ConCatConfig) -> nn.Sequential:
    """Two hidden layers: ages and counts act by their products, which one layer of this width does not reach."""
    width = config.side_hidden
    return nn.Sequential(
        nn.Linear(side_size, width),
        nn.SiLU(),
        nn.Dropout(config.dropout),
        nn.Linear(width, width),
        nn.SiLU(),
        nn.Dropout(config.dropout),
    )


def training_loss(output: Output, growth: Tensor, events: Tensor, likelihood_weight: float) -> Tensor:
    """MSLE - weight * (1 / #events) * sum over cascades (sum_i log lambda(t_i^-) - Lambda(t_o)).

    ``growth`` (B,) are the true log2(1 + increment), ``events`` the number of events of the batch.
    """
    msle = torch.mean((output.growth - growth) ** 2)
    return msle - likelihood_weight * output.log_likelihood.sum() / events
