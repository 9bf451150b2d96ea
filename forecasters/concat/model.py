"""ConCat as a network: events in, log2(1 + increment) and the likelihood of the observed events out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from forecasters.concat.config import ConCatConfig
from forecasters.concat.dynamics import DeepDynamics, Dynamics, LinearDynamics
from forecasters.concat.encoder import EventEncoder
from forecasters.concat.intensity import Intensity, integrate_pieces, tolerance_for
from forecasters.concat.jump_ode import Path, solve
from forecasters.context.network import ContextNet, floored


@dataclass(frozen=True, slots=True)
class Batch:
    """B prepared observations, right-aligned: a sample's absent events come first.

    Shapes: times (B, N) in [0, 1], 0 where absent; present (B, N) bool; graphwave (B, N, 40); users (B, N, g) or None;
    context (B, F), raw, or None.
    """

    times: Tensor
    present: Tensor
    graphwave: Tensor
    users: Tensor | None = None
    context: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """Shapes: growth (B,) = log2(1 + increment) >= 0; log_likelihood (B,); integral (B,) = Lambda(t_o)."""

    growth: Tensor
    log_likelihood: Tensor
    integral: Tensor


class ConCatNet(nn.Module):
    """Encoder, jump ODE, intensity and head of arXiv 2409.16623; a context network beside them in the full model.

    The published head is softplus(MLP([h(t_o); Lambda(t_o)])). In the full model the context network, fitted before and
    frozen, forecasts from what the sequence does not carry, and the head, starting at zero, corrects that forecast by
    what the sequence tells. ``populations`` are those of the context network.
    """

    def __init__(self, config: ConCatConfig, populations: tuple[str, ...] = ("",)) -> None:
        super().__init__()
        d = config.state_size
        self.config = config
        self.encoder = EventEncoder(config)
        self.initial = nn.Parameter(torch.randn(d) * 0.1)  # h(0-), learned
        self.dynamics: Dynamics = LinearDynamics(d) if config.dynamics == "linear" else DeepDynamics(d)
        # f starts at zero: frozen there, the state stands still between events
        self.dynamics.requires_grad_(config.ode)
        self.jump = nn.GRUCell(config.encoded_size, d)
        self.intensity = Intensity(d)
        self.state = nn.Sequential(nn.Linear(d + 1, d), nn.Softplus(), nn.Dropout(config.dropout))
        self.context: ContextNet | None = None
        beside = 0
        if config.context is not None:
            self.context = ContextNet(config.context.size, populations, config.context).requires_grad_(False)
            beside = self.context.hidden_size
        self.head = nn.Linear(d + beside, 1)

    def start_at(self, growth: float) -> None:
        """Let the untrained head add nothing to the context's forecast, or without one forecast about ``growth``."""
        with torch.no_grad():
            self.head.weight.zero_()
            self.head.bias.zero_()
            if self.context is None:
                growth = max(growth, 1e-3)
                self.head.bias.fill_(growth + math.log(-math.expm1(-growth)))  # inverse of softplus

    def forward(self, batch: Batch, *, likelihood: bool = True) -> Output:
        """Forecast a batch; without ``likelihood`` the log likelihood is left at 0, which saves time."""
        encoded = self.encoder(batch.graphwave, batch.users, batch.times, batch.present)
        times, present = batch.times.t(), batch.present.t()  # time-major from here on
        path = solve(self.dynamics, self.jump, self.initial, encoded.transpose(0, 1), times, present)
        integral, log_likelihood = self._point_process(path, present, likelihood)
        final = path.final if self.config.alignment else state_after_last_event(path)
        hidden = self.state(torch.cat([final, torch.log1p(integral)[:, None]], dim=1))
        if self.context is None:
            growth = nn.functional.softplus(self.head(hidden).squeeze(1))
        else:
            assert batch.context is not None
            with torch.no_grad():
                forecast, beside = self.context(batch.context)
            growth = floored(forecast + self.head(torch.cat([hidden, beside], dim=1)).squeeze(1))
        return Output(growth, log_likelihood, integral)

    def _point_process(self, path: Path, present: Tensor, likelihood: bool) -> tuple[Tensor, Tensor]:
        """Lambda(t_o) and, if asked for, sum_i log lambda(t_i^-) - Lambda(t_o); zeros without a point process."""
        zeros = path.final.new_zeros(len(path.final))
        if not self.config.point_process:
            return zeros, zeros
        tolerance = tolerance_for(training=self.training, likelihood=likelihood)
        pieces = integrate_pieces(self.intensity, path, tolerance)  # (S, B)
        last = path.splits[-1]
        integral = (pieces if self.config.alignment else pieces[: len(pieces) - last]).sum(0)
        if not likelihood:
            return integral, zeros
        before = path.before[present]  # (events, d)
        rows = present.nonzero()[:, 1]
        return integral, zeros.index_add(0, rows, self.intensity.log(before)) - integral


def state_after_last_event(path: Path) -> Tensor:
    """The state right after the last event, (B, d): where the last interval starts."""
    last = path.splits[-1]
    return path.starts[len(path.starts) - last] if last else path.final


def training_loss(output: Output, growth: Tensor, events: Tensor, likelihood_weight: float) -> Tensor:
    """MSLE - weight * (1 / #events) * sum over cascades (sum_i log lambda(t_i^-) - Lambda(t_o)).

    ``growth`` (B,) are the true log2(1 + increment), ``events`` the number of events of the batch.
    """
    msle = torch.mean((output.growth - growth) ** 2)
    return msle - likelihood_weight * output.log_likelihood.sum() / events
