"""What a roll-out says of the whole way to the horizon: its sum, and the share of it that has come by any age."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float64]


def rolled_total(steps: Tensor, count: Tensor) -> Tensor:
    """log2(1 + sum of the first ``count`` (B,) steps) of ``steps`` (B, S), each log2(1 + reshares)."""
    counts = torch.exp2(steps.double()) - 1.0
    counts = torch.where(torch.arange(steps.shape[1], device=steps.device) < count[:, None], counts, 0.0)
    return torch.log2(1.0 + counts.sum(1)).to(steps.dtype)


def rolled_shares(ages: Floats, edge_seconds: float, ends: Floats, steps: Floats) -> Floats | None:
    """Share of the growth that has come by each of ``ages`` (A,), nondecreasing from 0 to 1.

    ``ends`` (n,) are where the future steps end and ``steps`` (n,) the log2(1 + reshares) of each; within a step growth
    is even in log age, as attention is. None where the roll-out forecasts no growth at all: it then has no shape.
    """
    curve = np.concatenate([[0.0], np.cumsum(np.exp2(steps) - 1.0)])
    if curve[-1] <= 0.0:
        return None
    places = np.log1p(np.concatenate([[edge_seconds], ends]) / 60.0)
    shares: Floats = np.interp(np.log1p(ages / 60.0), places, curve / curve[-1])
    return shares
