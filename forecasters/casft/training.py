"""Training a CasFT network: what it is scaled by, its loss, and its validation, for the loop all networks share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from forecasters.casft.batching import Prepared
from forecasters.casft.config import CasFTConfig
from forecasters.casft.model import Batch, CasFTNet, Output
from forecasters.concat.batching import shuffled_batches, sorted_batches
from forecasters.training_loop import Optimisation, Progress, Task, train

EVALUATION_BATCH: Final = 256
SMALLEST_SPREAD: Final = 0.1
"""log2 units: a trend that hardly varied in training must not blow up later."""


def scale(net: CasFTNet, training: Prepared) -> None:
    """Standardise Y0 by the known trends, and set the intensity's usual pace R, in events per horizon."""
    truth, batch = training.truth, training.batch
    with torch.no_grad():
        if bool(truth.known.any()):
            trends = truth.trend[truth.known]
            net.trend_centre.copy_(trends.mean(0))
            net.trend_spread.copy_(trends.std(0, correction=0).clamp(min=SMALLEST_SPREAD))
        paces = batch.observation.present.sum(1) / batch.observed.clamp(min=1e-6)
        net.cues.intensity.pace.copy_(torch.exp(torch.log(paces.clamp(min=1.0)).mean()))
    net.start_at(float(truth.growth.mean()))


def train_networks(
    nets: Sequence[CasFTNet],
    config: CasFTConfig,
    training: Prepared,
    validation: Prepared | None,
    *,
    seed: int,
    progress: Progress | None = None,
    checkpoint: Path | None = None,
) -> tuple[int, float]:
    """Train ``nets`` in place by `forecasters.training_loop.train`; returns their best epoch together and its MSLE."""

    def validated() -> float:
        assert validation is not None
        return float(torch.mean((predict(nets, validation) - validation.truth.growth) ** 2))

    def loss(rows: Tensor) -> Tensor:
        batch, truth = training.rows(rows)
        # no weight belongs to two of them: each learns by its own loss
        return torch.stack([net.loss(batch, truth) for net in nets]).sum()

    task = Task(
        nn.ModuleList(nets),
        lambda generator: shuffled_batches(training.lengths, config.batch_size, generator),
        loss,
        validation=None if validation is None else validated,
    )
    settings = Optimisation(
        learning_rate=config.learning_rate,
        epochs=config.epochs,
        patience=config.patience,
        betas=config.betas,
        weight_decay=config.weight_decay,
        max_gradient_norm=config.max_gradient_norm,
        averaging=config.averaging,
    )
    return train(task, settings, seed=seed, progress=progress, checkpoint=checkpoint)


def predict(nets: Sequence[CasFTNet], prepared: Prepared) -> Tensor:
    """log2(1 + increment) of all cases, (M,), without dropout: the mean of the networks."""
    for net in nets:
        net.eval()
    growth = torch.zeros_like(prepared.truth.growth)
    with torch.inference_mode():
        for rows in sorted_batches(prepared.lengths, EVALUATION_BATCH):
            batch, _ = prepared.rows(rows)
            growth[rows] = forecast_together(nets, batch).growth
    return growth


def forecast_together(nets: Sequence[CasFTNet], batch: Batch) -> Output:
    """The mean of the increments that the networks forecast, and the trends that all of them drew."""
    each = [net(batch) for net in nets]
    return Output(torch.stack([one.growth for one in each]).mean(0), torch.cat([one.trends for one in each], dim=1))
