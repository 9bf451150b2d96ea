"""Training a ConCat network: its loss and its batches, for the loop that all networks share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from forecasters.concat.batching import Prepared, shuffled_batches, sorted_batches, take
from forecasters.concat.config import ConCatConfig
from forecasters.concat.model import Batch, ConCatNet, training_loss
from forecasters.training_loop import Optimisation, Progress, Task, train

EVALUATION_BATCH: Final = 256


def train_networks(
    nets: Sequence[ConCatNet],
    config: ConCatConfig,
    training: Prepared,
    validation: Prepared,
    *,
    seed: int,
    progress: Progress | None = None,
    checkpoint: Path | None = None,
) -> tuple[int, float]:
    """Train ``nets`` in place by `forecasters.training_loop.train`; returns the best epoch of their mean and its MSLE.

    With a context network epoch 0 is its forecast alone: a sequence that does not improve upon it is not kept.
    """
    lengths = training.batch.present.sum(1).cpu()
    weight = config.likelihood_weight if config.point_process else 0.0

    def loss(rows: Tensor) -> Tensor:
        batch, growth, events = take(training.batch, rows), training.growth[rows], lengths[rows.cpu()].sum()
        each = [training_loss(net(batch), growth, events, weight) for net in nets]
        return torch.stack(each).sum()  # no weight belongs to two of them: each learns by its own loss

    task = Task(
        nn.ModuleList(nets),
        lambda generator: shuffled_batches(lengths, config.batch_size, generator),
        loss,
        validation=(lambda: _msle(nets, validation)) if len(validation) else None,
        warm_up=None if nets[0].context is None else lambda: None,
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


def _msle(nets: Sequence[ConCatNet], prepared: Prepared) -> float:
    return float(torch.mean((predict(nets, prepared) - prepared.growth) ** 2))


def predict(nets: Sequence[ConCatNet], prepared: Prepared) -> Tensor:
    """log2(1 + increment) of all cases, (M,), without dropout: the mean of the networks."""
    for net in nets:
        net.eval()
    lengths = prepared.batch.present.sum(1)
    growth = prepared.growth.new_zeros(len(lengths))
    with torch.inference_mode():
        for rows in sorted_batches(lengths, EVALUATION_BATCH):
            growth[rows] = mean_growth(nets, take(prepared.batch, rows))
    return growth


def mean_growth(nets: Sequence[ConCatNet], batch: Batch) -> Tensor:
    """The mean of what each network forecasts of a batch, log2(1 + increment), (B,)."""
    each = [net(batch, likelihood=False).growth for net in nets]
    return torch.stack(each).mean(0)
