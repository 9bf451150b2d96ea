"""The intensity lambda(t) = g(h(t)), and its integral over a solved path by Gauss-Legendre quadrature."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from forecasters.concat.jump_ode import Path

MAX_INTENSITY: Final = 50.0
"""lambda = 50 sigmoid(out - 2), as published: per observation time, not per second."""
INTENSITY_SHIFT: Final = 2.0
QUADRATURE_TOLERANCE: Final = 1e-6
"""Relative to `MAX_INTENSITY` times the piece's width."""
TRAINING_TOLERANCE: Final = 1e-3
"""The same while training, where Lambda enters a loss that is itself a mean over a random batch."""
FORECAST_TOLERANCE: Final = 1e-4
"""The same where a head reads log(1 + Lambda) and no likelihood is asked for: a worst case that hardly a piece comes
near, so that forecasts differ by less than 1e-4 log2."""
RULES: Final = (1, 2, 4, 8, 16)
"""Points of the Gauss-Legendre rules; a piece that needs more than 16 is cut into panels of 16."""
FEWEST_WITH_GRADIENT: Final = 2
"""One point does for the value where the state hardly moves, but not for the gradient with respect to what moves it."""
WIDEST_PANEL: Final = 12.0
"""Change of a pre-activation that 16 points still integrate to the tolerance."""


class Intensity(nn.Module):
    """lambda(h) = 50 sigmoid(MLP(h) - 2), MLP: d -> 4d softplus -> 1."""

    def __init__(self, state_size: int) -> None:
        super().__init__()
        self.inner = nn.Linear(state_size, 4 * state_size)
        self.outer = nn.Linear(4 * state_size, 1)

    def logit(self, state: Tensor) -> Tensor:
        """MLP(h) - 2 for ``state`` (..., d) -> (...)."""
        out: Tensor = self.outer(nn.functional.softplus(self.inner(state))).squeeze(-1)
        return out - INTENSITY_SHIFT

    def forward(self, state: Tensor) -> Tensor:
        """lambda for ``state`` (..., d) -> (...), events per observation time."""
        return MAX_INTENSITY * torch.sigmoid(self.logit(state))

    def log(self, state: Tensor) -> Tensor:
        """log lambda, finite even where the sigmoid underflows."""
        return math.log(MAX_INTENSITY) + nn.functional.logsigmoid(self.logit(state))

    def steepness(self) -> float:
        """Largest change of a hidden pre-activation, or of the output at full slope, for a unit move of the state."""
        with torch.no_grad():
            inner = torch.linalg.vector_norm(self.inner.weight, dim=1).max()
            outer = torch.linalg.vector_norm(self.outer.weight @ self.inner.weight)
            return float(torch.maximum(inner, outer))

    def change_along(self, coefficients: Tensor, scales: Tensor) -> Tensor:
        """The same along pieces with ``coefficients`` (m, p, d) and ``scales`` (m, p), sharper: (m,)."""
        with torch.no_grad():
            slopes = coefficients @ self.inner.weight.t()  # (m, p, 4d)
            outer = torch.linalg.vecdot(scales, (slopes @ self.outer.weight[0]).abs())
            inner = torch.bmm(scales[:, None], slopes.abs_()).squeeze(1)  # (m, 4d)
            return torch.maximum(inner.max(dim=1).values, outer)


@lru_cache(maxsize=64)
def _rule(points: int, panels: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights on [0, 1] of the Gauss-Legendre rule with ``points`` in each of ``panels`` equal panels."""
    x, w = np.polynomial.legendre.leggauss(points)
    nodes = ((np.arange(panels)[:, None] + (x + 1) / 2) / panels).ravel()
    return nodes, np.tile(w / (2 * panels), panels)


def tolerance_for(*, training: bool, likelihood: bool) -> float:
    """How exactly Lambda has to be known."""
    if training:
        return TRAINING_TOLERANCE
    return QUADRATURE_TOLERANCE if likelihood else FORECAST_TOLERANCE


def _points_needed(change: Tensor, tolerance: float) -> Tensor:
    """Gauss points for pieces along which pre-activations change by at most ``change``.

    softplus and sigmoid are analytic up to distance pi from the real axis; on a piece of half-length change / 2 the
    ellipse through that pole has rho = x + sqrt(x^2 + 1), x = 2 pi / change, and q points err by about rho^(-2 q).
    """
    x = 2 * math.pi / change.clamp(min=1e-9)
    return -math.log(tolerance) / (2 * torch.asinh(x))  # log rho = asinh(x)


def integrate(intensity: Intensity, path: Path, tolerance: float = QUADRATURE_TOLERANCE) -> Tensor:
    """int_0^1 lambda(h(t)) dt for each sample, (B,)."""
    return integrate_pieces(intensity, path, tolerance).sum(0)


def integrate_pieces(intensity: Intensity, path: Path, tolerance: float = QUADRATURE_TOLERANCE) -> Tensor:
    """The integral of lambda(h(t)) over each piece of the path, (S, B); pieces of width 0 cost nothing."""
    S, B, p, d = path.coefficients.shape
    grad = torch.is_grad_enabled()
    total = path.final.new_zeros(S * B)
    flat = (path.widths.reshape(-1) > 0).nonzero().squeeze(1)
    if len(flat) == 0:
        return total.view(S, B)
    starts, coefficients = path.starts.reshape(S * B, d), path.coefficients.reshape(S * B, p, d)
    scales, widths = path.scales.reshape(S * B, p), path.widths.reshape(S * B)
    with torch.no_grad():
        lengths = torch.linalg.vector_norm(coefficients, dim=2)  # (S * B, p)
        change = intensity.steepness() * (lengths * scales).sum(1)[flat]
        coarse = (_points_needed(change, tolerance) > FEWEST_WITH_GRADIENT).nonzero().squeeze(1)
        if len(coarse):
            change[coarse] = intensity.change_along(coefficients[flat[coarse]], scales[flat[coarse]])
        fewest = FEWEST_WITH_GRADIENT if grad else RULES[0]
        needed = _points_needed(change, tolerance).clamp(min=fewest)
        panels = torch.ceil(change / WIDEST_PANEL).clamp(min=1).long()
        rule = torch.bucketize(needed, needed.new_tensor(RULES[:-1]))  # smallest rule with enough points
        panels = torch.where(rule == len(RULES) - 1, panels, 1)
        kind = panels * len(RULES) + rule
    for key in torch.unique(kind).tolist():
        cut, which = divmod(key, len(RULES))
        x_np, w_np = _rule(RULES[which], cut)
        x, w = path.final.new_tensor(x_np), path.final.new_tensor(w_np)
        index = flat[kind == key]  # (m,)
        powers = x[:, None] ** torch.arange(1, p + 1, device=x.device, dtype=x.dtype)  # (q, p)
        weights = scales[index][:, None, :] * powers  # (m, q, p)
        states = torch.baddbmm(starts[index][:, None], weights, coefficients[index])  # (m, q, d)
        total = total.index_copy(0, index, widths[index] * (intensity(states) @ w))
    return total.view(S, B)
