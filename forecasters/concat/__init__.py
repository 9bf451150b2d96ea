"""ConCat (arXiv 2409.16623): a jump ODE over the events of a cascade, and the forecaster made of it."""

from forecasters.concat.config import ConCatConfig
from forecasters.concat.forecaster import ConCatForecaster

__all__ = ["ConCatConfig", "ConCatForecaster"]
