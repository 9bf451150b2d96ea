"""Training a CasFT network: what it is scaled by, its loss, and its validation, for the loop all networks share."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from forecasters.casft.batching import Prepared
from forecasters.casft.config import CasFTConfig
from forecasters.casft.model import CasFTNet
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


def train_network(
    net: CasFTNet,
    config: CasFTConfig,
    training: Prepared,
    validation: Prepared | None,
    *,
    seed: int,
    progress: Progress | None = None,
    checkpoint: Path | None = None,
) -> tuple[int, float]:
    """Train ``net`` in place by `forecasters.training_loop.train`; returns its best epoch and that one's MSLE."""

    def validated() -> float:
        assert validation is not None
        return float(torch.mean((predict(net, validation) - validation.truth.growth) ** 2))

    task = Task(
        net,
        lambda generator: shuffled_batches(training.lengths, config.batch_size, generator),
        lambda rows: net.loss(*training.rows(rows)),
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


def predict(net: CasFTNet, prepared: Prepared) -> Tensor:
    """log2(1 + increment) of all cases, (M,), without dropout."""
    net.eval()
    growth = torch.zeros_like(prepared.truth.growth)
    with torch.inference_mode():
        for rows in sorted_batches(prepared.lengths, EVALUATION_BATCH):
            batch, _ = prepared.rows(rows)
            growth[rows] = net(batch).growth
    return growth
