"""Forecasters of how large a cascade will become: one contract, its baselines and neural models, and their
store."""

from forecasters.base import Case, Example, Forecaster, Forecasts
from forecasters.errors import ModelStoreError
from forecasters.model_lookup import load_forecaster
from forecasters.registry import forecaster_class, forecaster_names

__all__ = [
    "Case",
    "Example",
    "Forecaster",
    "Forecasts",
    "ModelStoreError",
    "forecaster_class",
    "forecaster_names",
    "load_forecaster",
]
