"""Training a ConCat network: its losses and its warm-up, for the loop that all networks share."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from forecasters.concat.batching import Prepared, shuffled_batches, sorted_batches, take
from forecasters.concat.config import ConCatConfig
from forecasters.concat.model import ConCatNet, floored, training_loss
from forecasters.training_loop import Optimisation, Progress, Task, train

EVALUATION_BATCH: Final = 256
WARM_UP_RATE: Final = 2e-3


def train_network(
    net: ConCatNet,
    config: ConCatConfig,
    training: Prepared,
    validation: Prepared,
    *,
    seed: int,
    warm_up: tuple[Tensor, Tensor] | None = None,
    progress: Progress | None = None,
    checkpoint: Path | None = None,
) -> tuple[int, float]:
    """Train ``net`` in place by `forecasters.training_loop.train`; returns its best epoch and that one's MSLE.

    ``warm_up`` are side features (M, F) and truths (M,) that a rolling network's side part is fitted to before; by
    default those of ``training``.
    """
    lengths = training.batch.present.sum(1)

    def loss(rows: Tensor) -> Tensor:
        output = net(take(training.batch, rows))
        return training_loss(output, training.growth[rows], lengths[rows].sum(), config.likelihood_weight)

    def warm() -> None:
        assert training.batch.side is not None
        _warm_up(net, config, warm_up or (training.batch.side, training.growth), seed)

    task = Task(
        net,
        lambda generator: shuffled_batches(lengths, config.batch_size, generator),
        loss,
        validation=(lambda: _msle(net, validation)) if len(validation) else None,
        slower=[(_side_parameters(net), config.side_rate)],
        warm_up=None if net.side is None else warm,
    )
    settings = Optimisation(
        learning_rate=config.learning_rate,
        epochs=config.epochs,
        patience=config.patience,
        betas=config.betas,
        weight_decay=config.weight_decay,
        max_gradient_norm=config.max_gradient_norm,
    )
    return train(task, settings, seed=seed, progress=progress, checkpoint=checkpoint)


def _side_parameters(net: ConCatNet) -> list[nn.Parameter]:
    if net.side is None or net.side_head is None:
        return []
    return [*net.side.parameters(), *net.side_head.parameters()]


def _warm_up(net: ConCatNet, config: ConCatConfig, cases: tuple[Tensor, Tensor], seed: int) -> None:
    """Fit the side network alone: it then has what counts and ages tell, and the sequence learns what they do not."""
    side, growth = cases
    optimiser = torch.optim.AdamW(_side_parameters(net), lr=WARM_UP_RATE, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(1, config.warm_up_epochs))
    net.train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for _ in range(config.warm_up_epochs):
            for rows in torch.split(torch.randperm(len(growth)), config.batch_size):
                forecast, _ = net.side_forecast(side[rows])
                loss = torch.mean((floored(forecast) - growth[rows]) ** 2)
                optimiser.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
            schedule.step()


def _msle(net: ConCatNet, prepared: Prepared) -> float:
    return float(torch.mean((predict(net, prepared) - prepared.growth) ** 2))


def predict(net: ConCatNet, prepared: Prepared) -> Tensor:
    """log2(1 + increment) of all cases, (M,), without dropout."""
    net.eval()
    lengths = prepared.batch.present.sum(1)
    growth = torch.zeros(len(lengths))
    with torch.inference_mode():
        for rows in sorted_batches(lengths, EVALUATION_BATCH):
            growth[rows] = net(take(prepared.batch, rows), likelihood=False).growth
    return growth
