"""A forecaster made of forecasters: experts weighted by what they scored, first on validation cases, then online."""

from forecasters.blend.forecaster import BlendForecaster
from forecasters.blend.online import OnlineBlend
from forecasters.blend.prior import BlendPrior
from forecasters.blend.weights import BlendWeights

__all__ = ["BlendForecaster", "BlendPrior", "BlendWeights", "OnlineBlend"]
