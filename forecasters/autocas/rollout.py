"""Roll-out: the steps from the observation to the horizon, each forecast from the ones before it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from forecasters.autocas.model import AutoCasNet, Batch, log_sum
from forecasters.autocas.tokens import CUMULATIVE, NEW


def mean_roll_out(nets: Sequence[AutoCasNet], batch: Batch) -> tuple[Tensor, Tensor]:
    """`roll_out` of each network, and the means of their forecasts, which are logarithms."""
    each = [roll_out(net, batch) for net in nets]
    return torch.stack([total for total, _ in each]).mean(0), torch.stack([steps for _, steps in each]).mean(0)


def roll_out(net: AutoCasNet, batch: Batch, *, cached: bool = True) -> tuple[Tensor, Tensor]:
    """Total (B,), as of the direct head, and log2(1 + reshares) of the steps after the edge, (B, N - edge).

    Future tokens of ``batch`` carry their times; their counts are written here. Steps past a row's last present token
    mean nothing, apart from the one right after it. ``cached`` keeps keys and values, so that a step costs one token;
    without it every step reads everything again, which gives the same.
    """
    now = batch.edge + 1
    hidden, scaled, present, cache = net.begin(batch.tokens[:, :now], batch.present[:, :now])
    total = net.grown(hidden[:, -1], batch)
    steps = [net.following(hidden[:, -1], scaled[:, -1])]
    tokens = batch.tokens.clone()
    for k in range(now, tokens.shape[1]):
        tokens[:, k, NEW] = steps[-1]
        tokens[:, k, CUMULATIVE] = log_sum(tokens[:, k - 1, CUMULATIVE], steps[-1])
        if cached:
            present = torch.cat([present, batch.present[:, k : k + 1]], dim=1)
            hidden, scaled, cache = net.go_on(tokens[:, k : k + 1], present, cache)
        else:
            hidden, scaled, _, _ = net.begin(tokens[:, : k + 1], batch.present[:, : k + 1])
        steps.append(net.following(hidden[:, -1], scaled[:, -1]))
    return total, torch.stack(steps, dim=1)
