"""Where a standardised trend comes from: drawn by diffusion, or, in two ablations, from an MLP on the condition."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from forecasters.casft.config import CasFTConfig
from forecasters.casft.diffusion import Denoiser, ddim, diffusion_loss

DRAWS: Final = 4
"""Noise levels drawn for each training case and batch: the ODE costs a thousand times what the denoiser does."""


class DiffusedTrend(nn.Module):
    """Trends by conditional diffusion; the head learns from sampled trends or from one-step estimates."""

    def __init__(self, config: CasFTConfig, condition_size: int) -> None:
        super().__init__()
        self.config = config
        self.denoiser = Denoiser(config.intervals, condition_size, config.denoiser_width, config.diffusion_steps)

    def sample(self, condition: Tensor, noise: Tensor) -> Tensor:
        """Trends (B, 2 H, l) from noise (B, H, l) and its mirror image; differentiable."""
        return self._sample(self.denoiser.embedded(condition)[:, None], noise)

    def _sample(self, embedded: Tensor, noise: Tensor) -> Tensor:
        both, config = torch.cat([noise, -noise], dim=1), self.config
        return ddim(lambda x, t: self.denoiser(x, t, embedded), both, config.diffusion_steps, config.sampling_steps)

    def learn(self, condition: Tensor, trend: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """The trend that the head is trained on (B, l), and the diffusion loss of each case (B,).

        ``trend`` (B, l) is read only where ``known`` (B,).
        """
        config, B = self.config, len(trend)
        embedded = self.denoiser.embedded(condition)[:, None]
        t = torch.randint(1, config.diffusion_steps + 1, (B, DRAWS), device=trend.device).to(trend)
        # at t = T nothing of x_0 is left: the estimate of an unknown trend reads its condition alone
        t = torch.where(known[:, None], t, float(config.diffusion_steps))
        noise = torch.randn(B, DRAWS, trend.shape[1], device=trend.device, dtype=trend.dtype)
        loss, estimate = diffusion_loss(self.denoiser, trend[:, None], embedded, t, noise)
        if config.fused == "estimate":
            return estimate[:, 0], loss.mean(1)
        half = torch.randn(B, config.training_samples // 2, trend.shape[1], device=trend.device, dtype=trend.dtype)
        return self._sample(embedded, half).mean(1), loss.mean(1)


class RegressedTrend(nn.Module):
    """One trend by an MLP on the condition: fitted to the true trend, or (``latent``) to the increment alone."""

    def __init__(self, config: CasFTConfig, condition_size: int) -> None:
        super().__init__()
        width = config.denoiser_width
        self.latent = config.trend == "latent"
        self.layers = nn.Sequential(
            nn.Linear(condition_size, width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Linear(width, config.intervals),
        )

    def sample(self, condition: Tensor, noise: Tensor) -> Tensor:
        """The one trend, (B, 1, l), whatever the noise."""
        out: Tensor = self.layers(condition)[:, None]
        return out

    def learn(self, condition: Tensor, trend: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """The trend (B, l) and its squared error (B,), 0 for a latent one."""
        found: Tensor = self.layers(condition)
        loss = ((found - trend) ** 2).mean(1)
        return found, torch.zeros_like(loss) if self.latent else loss
