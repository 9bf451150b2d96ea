"""Which population of posts an example resembles, by the gate of a context network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from forecasters.base import Example
from forecasters.context.network import ContextNet, context_batch


def resembled_populations(net: ContextNet | None, examples: Sequence[Example]) -> NDArray[np.int64] | None:
    """The population with the largest share in each example, (B,); None without a context network.

    The examples have the context features among their inputs, under ``context``.
    """
    if net is None or not examples:
        return None
    if len(net.populations) == 1:
        return np.zeros(len(examples), dtype=np.int64)
    with torch.inference_mode():
        shares = net.shares(context_batch([example.inputs["context"] for example in examples]))
    return np.asarray(shares.argmax(1).numpy(), dtype=np.int64)
