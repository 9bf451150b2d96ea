"""Conditional diffusion over a short vector: cosine schedule, x0 objective, DDIM sampling.

Ho et al. 2020 (arXiv 2006.11239), Nichol & Dhariwal 2021 (arXiv 2102.09672, the schedule), Song et al. 2021
(arXiv 2010.02502, DDIM). Noise level a_t = sqrt(alpha_bar_t), s_t = sqrt(1 - alpha_bar_t), x_t = a_t x_0 + s_t e.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor, nn

SCHEDULE_OFFSET: Final = 0.008
"""Of the cosine schedule, as published."""
TIME_CODE_WIDTH: Final = 16

Denoise = Callable[[Tensor, Tensor], Tensor]
"""(x_t (..., l), t (...) in steps) -> estimate of x_0 (..., l)."""


def signal_level(t: Tensor, steps: int) -> Tensor:
    """a_t = cos(u_t) / cos(u_0), u_t = (t / T + s) / (1 + s) pi / 2: 1 at t = 0, 0 at t = T."""
    start = math.cos(SCHEDULE_OFFSET / (1 + SCHEDULE_OFFSET) * math.pi / 2)
    level = torch.cos((t / steps + SCHEDULE_OFFSET) / (1 + SCHEDULE_OFFSET) * math.pi / 2) / start
    return level.clamp(0.0, 1.0)


def noise_level(signal: Tensor) -> Tensor:
    """s_t, with a_t^2 + s_t^2 = 1."""
    return torch.sqrt((1.0 - signal * signal).clamp(min=0.0))


class Denoiser(nn.Module):
    """x_0 from x_t, t and a condition: x_0 = a_t x_t + s_t F(x_t, t, c).

    a_t x_t is the best guess for a standardised x_0 of which nothing else is known (Karras et al. 2022, arXiv
    2206.00364, for this schedule): x_t is read from the first step of training on, and F has unit scale at every t.
    """

    def __init__(self, size: int, condition_size: int, width: int, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.condition = nn.Sequential(nn.Linear(condition_size, width), nn.SiLU(), nn.Linear(width, width))
        self.noisy = nn.Linear(size, width)
        self.time = nn.Linear(TIME_CODE_WIDTH, width)
        self.inner = nn.Linear(width, width)
        self.out = nn.Linear(width, size)

    def embedded(self, condition: Tensor) -> Tensor:
        """The condition's part of the first layer, (B, c) -> (B, w): the same for all samples and steps."""
        out: Tensor = self.condition(condition)
        return out

    def forward(self, x: Tensor, t: Tensor, embedded: Tensor) -> Tensor:
        """Shapes: x (..., l), t broadcastable to (...), embedded broadcastable to (..., w) -> (..., l)."""
        signal = signal_level(t, self.steps)
        hidden = self.noisy(x) + self.time(self._code(t)) + embedded
        hidden = nn.functional.silu(hidden)
        hidden = hidden + nn.functional.silu(self.inner(hidden))
        out: Tensor = signal[..., None] * x + noise_level(signal)[..., None] * self.out(hidden)
        return out

    def _code(self, t: Tensor) -> Tensor:
        """sin and cos of pi 2^k t / T / 8, (..., 16): from half a wave over the whole way to sixteen."""
        rates = math.pi * 2.0 ** torch.arange(TIME_CODE_WIDTH // 2, device=t.device, dtype=t.dtype) / 8.0
        angles = (t / self.steps)[..., None] * rates
        return torch.cat([torch.sin(angles), torch.cos(angles)], dim=-1)


def diffusion_loss(denoiser: Denoiser, x0: Tensor, embedded: Tensor, t: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """The bound of -log p(x_0 | c) up to weights and constants, |x_0 - x_0(x_t, t, c)|^2 / l, and x_0(x_t, t, c).

    Shapes: noise (..., l), t (...) in 1 .. T, x0 broadcastable to (..., l), embedded to (..., w) -> (...), (..., l).
    """
    signal = signal_level(t, denoiser.steps)[..., None]
    estimate = denoiser(signal * x0 + noise_level(signal) * noise, t, embedded)
    return ((estimate - x0) ** 2).mean(-1), estimate


def sampling_times(steps: int, sampled: int) -> list[float]:
    """t of the ``sampled`` steps of DDIM, from T evenly down to T / sampled."""
    return [steps * (sampled - i) / sampled for i in range(sampled)]


def ddim(denoise: Denoise, noise: Tensor, steps: int, sampled: int) -> Tensor:
    """Draw x_0 from x_T = ``noise`` (..., l) by deterministic DDIM in ``sampled`` steps; no clipping.

    x_t' = a_t' x_0 + s_t' (x_t - a_t x_0) / s_t; the last step ends at its own estimate of x_0.
    """
    x, shape = noise, (1,) * (noise.dim() - 1)  # the time is the same for all that is drawn
    times = sampling_times(steps, sampled)
    for i, t in enumerate(times):
        estimate = denoise(x, x.new_full(shape, t))
        if i + 1 == len(times):
            return estimate
        here, there = (signal_level(x.new_tensor(u), steps) for u in (t, times[i + 1]))
        x = there * estimate + noise_level(there) * (x - here * estimate) / noise_level(here)
    raise ValueError("DDIM needs at least one step")
