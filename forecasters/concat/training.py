"""Training a ConCat network: its loss and its batches, for the loop that all networks share."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from forecasters.concat.batching import Prepared, shuffled_batches, sorted_batches, take
from forecasters.concat.config import ConCatConfig
from forecasters.concat.model import ConCatNet, training_loss
from forecasters.training_loop import Optimisation, Progress, Task, train

EVALUATION_BATCH: Final = 256


def train_network(
    net: ConCatNet,
    config: ConCatConfig,
    training: Prepared,
    validation: Prepared,
    *,
    seed: int,
    progress: Progress | None = None,
    checkpoint: Path | None = None,
) -> tuple[int, float]:
    """Train ``net`` in place by `forecasters.training_loop.train`; returns its best epoch and that one's MSLE.

    With a context network epoch 0 is its forecast alone: a sequence that does not improve upon it is not kept.
    """
    lengths = training.batch.present.sum(1).cpu()
    weight = config.likelihood_weight if config.point_process else 0.0

    def loss(rows: Tensor) -> Tensor:
        output = net(take(training.batch, rows))
        return training_loss(output, training.growth[rows], lengths[rows.cpu()].sum(), weight)

    task = Task(
        net,
        lambda generator: shuffled_batches(lengths, config.batch_size, generator),
        loss,
        validation=(lambda: _msle(net, validation)) if len(validation) else None,
        warm_up=None if net.context is None else lambda: None,
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


def _msle(net: ConCatNet, prepared: Prepared) -> float:
    return float(torch.mean((predict(net, prepared) - prepared.growth) ** 2))


def predict(net: ConCatNet, prepared: Prepared) -> Tensor:
    """log2(1 + increment) of all cases, (M,), without dropout."""
    net.eval()
    lengths = prepared.batch.present.sum(1)
    growth = prepared.growth.new_zeros(len(lengths))
    with torch.inference_mode():
        for rows in sorted_batches(lengths, EVALUATION_BATCH):
            growth[rows] = net(take(prepared.batch, rows), likelihood=False).growth
    return growth
