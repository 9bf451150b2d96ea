"""What every backbone is: a causal language model that reads embeddings instead of words."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor


class Backbone(Protocol):
    """A causal model over embeddings; token i of a row sees the present tokens 1..i of that row only."""

    width: int
    """Width of its embeddings and of its hidden states."""
    scale: float
    """Root mean square of the embeddings that it is used to; inputs are brought to it."""

    def read(self, inputs: Tensor, present: Tensor, cache: Any = None) -> tuple[Tensor, Any]:
        """Hidden states (B, T, width) of ``inputs`` (B, T, width), and the cache of keys and values to go on from.

        ``present`` (B, S + T) tells which of the S tokens read before and the T new ones are there; hidden states of
        absent ones mean nothing. ``cache`` is what the last call returned, None at the start.
        """
        ...
