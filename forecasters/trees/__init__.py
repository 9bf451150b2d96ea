"""Boosted trees for any age, as plain arrays: trained by LightGBM, forecast without it."""

from forecasters.trees.arrays import TreeArrays
from forecasters.trees.forecaster import TreesForecaster

__all__ = ["TreeArrays", "TreesForecaster"]
