"""CasFT as a network: events in, a distribution of future trends and log2(1 + increment) out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from forecasters.casft.config import CasFTConfig
from forecasters.casft.cues import CueNet, Cues
from forecasters.casft.generators import DiffusedTrend, RegressedTrend
from forecasters.concat.model import Batch as Observation
from forecasters.context.network import ContextNet, floored


@dataclass(frozen=True, slots=True)
class Batch:
    """B prepared observations.

    Shapes: observed (B,) = t_o / t_p in [0, 1]; noise (B, samples / 2, l), each example's own.
    """

    observation: Observation
    observed: Tensor
    noise: Tensor


@dataclass(frozen=True, slots=True)
class Truth:
    """Shapes: growth (B,) = log2(1 + increment); trend (B, l) = log2(1 + count) of each interval, read only where
    known (B,) bool."""

    growth: Tensor
    trend: Tensor
    known: Tensor


@dataclass(frozen=True, slots=True)
class Output:
    """Shapes: growth (B,) = log2(1 + increment) >= 0; drawn trends (B, S, l), log2(1 + count); S = 0 without."""

    growth: Tensor
    trends: Tensor


class CasFTNet(nn.Module):
    """arXiv 2409.16619: cues c from the ODE propagated to the horizon, Y0 ~ p(Y0 | c) by diffusion, and a head.

    increment: softplus(MLP([h(t_o); Y0])). With a context network, which is fitted before and frozen, the condition
    also holds its hidden layer and forecast, and the head, starting at zero, corrects that forecast. ``populations``
    name those of the context.
    """

    trend_centre: Tensor
    trend_spread: Tensor

    def __init__(self, config: CasFTConfig, populations: tuple[str, ...] = ("",)) -> None:
        super().__init__()
        d, trend_size = config.state_size, 0 if config.trend == "none" else config.intervals
        self.config = config
        self.cues = CueNet(config)
        self.context: ContextNet | None = None
        told = 0
        if config.context is not None:
            self.context = ContextNet(config.context.size, populations, config.context).requires_grad_(False)
            told = self.context.hidden_size + 1
        self.trend: DiffusedTrend | RegressedTrend | None = None
        if config.trend == "diffusion":
            self.trend = DiffusedTrend(config, self.cues.size + told)
        elif config.trend != "none":
            self.trend = RegressedTrend(config, self.cues.size + told)
        self.fuse = nn.Sequential(nn.Linear(d + trend_size, d), nn.Softplus(), nn.Dropout(config.dropout))
        self.head = nn.Linear(d + told, 1)
        if self.context is not None:
            nn.init.zeros_(self.head.weight)
            nn.init.zeros_(self.head.bias)
        self.register_buffer("trend_centre", torch.zeros(config.intervals))
        self.register_buffer("trend_spread", torch.ones(config.intervals))

    def train(self, mode: bool = True) -> Self:
        """Training mode for all but the context network: it is done, and its dropout would only add noise."""
        super().train(mode)
        if self.context is not None:
            self.context.eval()
        return self

    def start_at(self, growth: float) -> None:
        """Let the untrained network forecast about ``growth`` = log2(1 + increment): a head start."""
        if self.context is None:
            growth = max(growth, 1e-3)
            with torch.no_grad():
                # the weights stay: from zero weights the layers before them take ten epochs to learn anything
                usual = math.log(2.0) * float(self.head.weight.sum())  # softplus(0) of each hidden number
                self.head.bias.fill_(growth + math.log(-math.expm1(-growth)) - usual)  # inverse of softplus

    def forward(self, batch: Batch) -> Output:
        """Forecast a batch: trends from the examples' own noise, and the increment by their mean."""
        return self.forecast_from(self.cues(batch.observation, batch.observed, likelihood=False), batch)

    def forecast_from(self, cues: Cues, batch: Batch) -> Output:
        """The forecast from cues that were solved elsewhere."""
        told = self._told(batch)
        if self.trend is None:
            return Output(self._growth(cues, None, told), batch.noise[:, :0])
        trends = self.trend.sample(self._condition(cues, told), batch.noise)
        growth = self._growth(cues, trends.mean(1), told)
        return Output(growth, trends * self.trend_spread + self.trend_centre)

    def loss(self, batch: Batch, truth: Truth) -> Tensor:
        """MSLE + gamma * trend loss - weight * (1 / #events) * sum over cascades of the log likelihood."""
        config = self.config
        cues: Cues = self.cues(batch.observation, batch.observed)
        told = self._told(batch)
        trend_loss = fused = None
        if self.trend is not None:
            standard = (truth.trend - self.trend_centre) / self.trend_spread  # Y0, standardised
            fused, each = self.trend.learn(self._condition(cues, told), standard, truth.known)
            trend_loss = (each * truth.known).sum() / truth.known.sum().clamp(min=1)
        loss: Tensor = torch.mean((self._growth(cues, fused, told) - truth.growth) ** 2)
        if trend_loss is not None:
            loss = loss + config.trend_weight * trend_loss
        return loss - config.likelihood_weight * cues.log_likelihood.sum() / batch.observation.present.sum()

    def _told(self, batch: Batch) -> tuple[Tensor, Tensor] | None:
        """What the context alone forecasts (B,), and its hidden layer (B, w); None without a context."""
        if self.context is None:
            return None
        assert batch.observation.context is not None
        growth, hidden = self.context(batch.observation.context)
        return growth, hidden

    def _condition(self, cues: Cues, told: tuple[Tensor, Tensor] | None) -> Tensor:
        condition = self.cues.conditions(cues)
        if told is None:
            return condition
        return torch.cat([condition, told[1], told[0][:, None]], dim=1)

    def _growth(self, cues: Cues, trend: Tensor | None, told: tuple[Tensor, Tensor] | None) -> Tensor:
        """log2(1 + increment) from h(t_o) and a standardised trend (B, l)."""
        hidden = self.fuse(cues.state if trend is None else torch.cat([cues.state, trend], dim=1))
        if told is None:
            growth: Tensor = nn.functional.softplus(self.head(hidden).squeeze(1))
            return growth
        correction = self.head(torch.cat([hidden, told[1], told[0][:, None]], dim=1)).squeeze(1)
        return floored(told[0] + correction)
