"""Training an AutoCas network: its loss and its validation, for the loop that all networks share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from forecasters.autocas.batching import Prepared
from forecasters.autocas.config import AutoCasConfig
from forecasters.autocas.model import AutoCasNet, training_loss
from forecasters.autocas.rollout import mean_roll_out
from forecasters.autocas.tokens import OBSERVED
from forecasters.autocas.totals import rolled_total
from forecasters.concat.batching import shuffled_batches, sorted_batches
from forecasters.training_loop import Optimisation, Progress, Task, train

EVALUATION_BATCH: Final = 256


def start(nets: Sequence[AutoCasNet], training: Prepared) -> None:
    """Scale the tokens by the observed ones of the training part, and begin at its mean growths."""
    observed = training.batch.tokens[training.batch.present]
    observed = observed[observed[:, OBSERVED] > 0]
    growth = training.batch.growth
    known = training.following[~torch.isnan(training.following)]
    for net in nets:
        net.start_at(
            observed,
            0.0 if growth is not None else float(training.total.mean()),
            float(known.mean()) if len(known) else 0.0,
        )


def train_networks(
    nets: Sequence[AutoCasNet],
    training: Prepared,
    validation: Prepared | None,
    *,
    seed: int,
    progress: Progress | None = None,
    checkpoint: Path | None = None,
) -> tuple[int, float]:
    """Train ``nets`` in place by `forecasters.training_loop.train`; returns their best epoch together and its MSLE."""
    config = nets[0].config
    lengths = training.batch.present.sum(1)

    def loss(rows: Tensor) -> Tensor:
        part = training.take(rows)
        each = [training_loss(net(part.batch), part.total, part.following, config.step_weight) for net in nets]
        return torch.stack(each).sum()  # no weight belongs to two of them: each learns by its own loss

    def validated() -> float:
        assert validation is not None
        return float(torch.mean((predict(nets, validation) - validation.total) ** 2))

    task = Task(
        nn.ModuleList(nets),
        lambda generator: shuffled_batches(lengths, config.batch_size, generator),
        loss,
        validation=None if validation is None else validated,
        # an untrained correction is 0: the context alone stands as epoch 0, which the sequence must improve upon
        warm_up=(lambda: None) if config.context else None,
    )
    return train(task, settings_of(config), seed=seed, progress=progress, checkpoint=checkpoint)


def settings_of(config: AutoCasConfig) -> Optimisation:
    """How the weights move."""
    return Optimisation(
        learning_rate=config.learning_rate,
        epochs=config.epochs,
        patience=config.patience,
        weight_decay=config.weight_decay,
        max_gradient_norm=1.0,
        averaging=config.averaging,
    )


def predict(nets: Sequence[AutoCasNet], prepared: Prepared) -> Tensor:
    """log2(1 + increment) of all cases, (M,), without dropout: the mean of the networks."""
    for net in nets:
        net.eval()
    direct = nets[0].config.total == "direct"
    lengths = prepared.batch.present.sum(1)
    found = torch.zeros_like(prepared.total)
    with torch.inference_mode():
        for rows in sorted_batches(lengths, EVALUATION_BATCH):
            part = prepared.take(rows, future=not direct).batch
            total, steps = mean_roll_out(nets, part)
            found[rows] = total if direct else rolled_total(steps, future_steps(part.present, part.edge))
    return found


def future_steps(present: Tensor, edge: int) -> Tensor:
    """Steps from the edge to the horizon, (B,), one more than there are future tokens: the last step has none."""
    return present[:, edge + 1 :].sum(1) + 1
