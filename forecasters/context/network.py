"""The context network: for each population of posts an ensemble of small perceptrons, and a gate between them.

One network for all data sets was worse on each of them than one for each (on Weibo's CED set by 4 %, on the DeepHawkes
set by 15 %): a platform's posts grow by rules of their own. The gate (Jacobs et al. 1991, "Adaptive mixtures of local
experts") tells from the features which population a post resembles. What earlier posts of the same stream resembled
is its prior: hardly any topic holds the posts of six platforms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from forecasters.context.config import ContextConfig
from forecasters.platform_votes import expected_shares

Floats = NDArray[np.float64]

FLOOR_SHARPNESS: Final = 4.0
"""Of the softplus that keeps a forecast at 0 or above; past one doubling it adds under 0.005."""
LARGEST_DEVIATION: Final = 5.0
"""Standard deviations: what lies beyond was never seen in training, and no network should extrapolate to it."""
SMALLEST_SPREAD: Final = 1e-3
"""A feature that never varied in training (the horizon's part of one observation time) must not blow up later."""


def floored(growth: Tensor) -> Tensor:
    """``growth`` = log2(1 + increment) kept at 0 or above, smoothly."""
    return nn.functional.softplus(growth, beta=FLOOR_SHARPNESS)


class Scale(nn.Module):
    """Features in standard deviations from their mean in training, clipped; one scale for each of D populations."""

    centre: Tensor
    spread: Tensor

    def __init__(self, populations: int, inputs: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(populations, 1, inputs))
        self.register_buffer("spread", torch.ones(populations, 1, inputs))

    def fit(self, population: int, X: Tensor) -> None:
        """To the raw features X (M, F) of one population."""
        self.centre[population, 0] = X.double().mean(0)
        self.spread[population, 0] = X.double().std(0, correction=0).clamp(min=SMALLEST_SPREAD)

    def forward(self, X: Tensor) -> Tensor:
        """(B, F) -> (D, B, F)."""
        return ((X - self.centre) / self.spread).clamp(-LARGEST_DEVIATION, LARGEST_DEVIATION)


class _ManyLinear(nn.Module):
    """``count`` linear layers side by side: (count, B, inputs) -> (count, B, outputs)."""

    def __init__(self, count: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(count, inputs, outputs) / math.sqrt(inputs))
        self.bias = nn.Parameter(torch.zeros(count, 1, outputs))

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x, self.weight)


class Perceptrons(nn.Module):
    """``count`` perceptrons of two hidden layers: ages and counts act by their products, which one does not reach."""

    def __init__(self, count: int, inputs: int, config: ContextConfig) -> None:
        super().__init__()
        w = config.width
        self.first = _ManyLinear(count, inputs, w)
        self.second = _ManyLinear(count, w, w)
        self.out = _ManyLinear(count, w, 1)
        self.dropout = nn.Dropout(config.dropout)

    def start_at(self, growth: float) -> None:
        """Let the untrained perceptrons forecast about ``growth`` whatever they see: a head start."""
        with torch.no_grad():
            self.out.weight.mul_(0.1)
            self.out.bias.fill_(growth)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Of scaled features (count, B, F): growth (count, B) before any floor, last hidden layer (count, B, w)."""
        hidden = self.dropout(nn.functional.silu(self.first(x)))
        hidden = self.dropout(nn.functional.silu(self.second(hidden)))
        return self.out(hidden).squeeze(2), hidden


class ContextNet(nn.Module):
    """log2(1 + increment) from raw context features: the members' average in each population, mixed by the gate.

    ``populations`` names the D populations; perceptron d * members + e is member e of population d. Perceptrons read
    the first ``read`` features, the gate all of them. After the F features there may be D columns more, the votes of a
    post's stream: how many of its earlier posts resembled each population (`forecasters.context.populations`).
    """

    def __init__(self, inputs: int, populations: tuple[str, ...], config: ContextConfig) -> None:
        super().__init__()
        D = len(populations)
        self.populations, self.members, self.hidden_size = populations, config.members, config.width
        self.inputs, self.read = inputs, inputs - config.of_gate_alone
        self.scale = Scale(D, self.read)
        self.perceptrons = Perceptrons(D * config.members, self.read, config)
        self.gate_scale = Scale(1, inputs)
        w = config.gate_width
        self.gate = nn.Sequential(nn.Linear(inputs, w), nn.SiLU(), nn.Linear(w, w), nn.SiLU(), nn.Linear(w, D))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Of raw features (B, F), or (B, F + D) with votes: growth (B,) before any floor, and the first members' last
        layers, mixed, (B, w)."""
        D, E = len(self.populations), self.members
        x = self.scale(features[:, : self.read])  # (D, B, those that perceptrons read)
        growth, hidden = self.perceptrons(x.repeat_interleave(E, dim=0))
        share = self.shares(features).t()  # (D, B)
        growth = (growth.unflatten(0, (D, E)).mean(1) * share).sum(0)
        return growth, (hidden[::E] * share[:, :, None]).sum(0)

    def shares(self, features: Tensor) -> Tensor:
        """How much of each population there is in a post, (B, D), rows summing to 1."""
        alone = torch.softmax(self.gate(self.gate_scale(features[:, : self.inputs])[0]), dim=1)
        votes = features[:, self.inputs :]
        return expected_shares(alone, votes) if votes.shape[1] else alone


def context_batch(features: Sequence[Floats]) -> Tensor:
    """What `ContextNet` reads, (B, F) or (B, F + D), single precision, of the features of B >= 1 cases.

    Where some have votes and others none, none stands for zeros.
    """
    width = max(len(row) for row in features)
    rows = [row if len(row) == width else np.pad(row, (0, width - len(row))) for row in features]
    return torch.from_numpy(np.stack(rows).astype(np.float32))
