"""What was observed of a cascade beside its sequence of events (counts, ages, audience, clock), and a network on it.

The network, its fitting and what it tells of populations are imported by themselves: who only reads the numbers, as
trees do, needs no torch.
"""

from forecasters.context.config import ContextConfig
from forecasters.context.features import CONTEXT_SIZE, context_features

__all__ = ["CONTEXT_SIZE", "ContextConfig", "context_features"]
