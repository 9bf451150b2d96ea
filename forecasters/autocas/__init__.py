"""AutoCas (arXiv 2502.18040): a cascade as a sequence of steps, read and continued by a causal language model."""

from forecasters.autocas.config import AutoCasConfig
from forecasters.autocas.forecaster import AutoCasForecaster

__all__ = ["AutoCasConfig", "AutoCasForecaster"]
