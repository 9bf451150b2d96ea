"""Which population of posts an example resembles, by the gate of a context network and the votes of its stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from forecasters.base import Example
from forecasters.context.network import ContextNet, context_batch


def resembled_populations(net: ContextNet | None, examples: Sequence[Example]) -> NDArray[np.int64] | None:
    """The population with the largest share in each example, (B,); None without a context network.

    The examples have the context features among their inputs, under ``context``, with or without votes after them.
    """
    if net is None or not examples:
        return None
    if len(net.populations) == 1:
        return np.zeros(len(examples), dtype=np.int64)
    with torch.inference_mode():
        shares = net.shares(context_batch([example.inputs["context"] for example in examples]))
    return np.asarray(shares.argmax(1).numpy(), dtype=np.int64)


def with_votes(net: ContextNet | None, example: Example, votes: Mapping[str, float]) -> Example:
    """The example with the ``votes`` of its stream for the populations of ``net``; other populations' go unread."""
    if net is None:
        return example
    features = example.inputs["context"][: net.inputs]
    if votes and len(net.populations) > 1:
        features = np.concatenate([features, [votes.get(name, 0.0) for name in net.populations]])
    return replace(example, inputs=example.inputs | {"context": features})
