"""CasFT (arXiv 2409.16619): a diffusion model draws the future trend of a cascade from cues of its jump ODE."""

from forecasters.casft.config import CasFTConfig
from forecasters.casft.forecaster import CasFTForecaster

__all__ = ["CasFTConfig", "CasFTForecaster"]
