"""What was observed of a cascade beside its sequence of events (counts, ages, audience, clock), and a network on it."""

from forecasters.context.config import ContextConfig
from forecasters.context.features import CONTEXT_SIZE, context_batch, context_features
from forecasters.context.fitting import fit_context
from forecasters.context.network import ContextNet, floored
from forecasters.context.populations import resembled_populations

__all__ = [
    "CONTEXT_SIZE",
    "ContextConfig",
    "ContextNet",
    "context_batch",
    "context_features",
    "fit_context",
    "floored",
    "resembled_populations",
]
