"""Training a ConCat network: AdamW, cosine schedule, early stopping on validation MSLE, resumable to the bit."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from forecasters.concat.batching import Prepared, shuffled_batches, sorted_batches, take
from forecasters.concat.config import ConCatConfig
from forecasters.concat.model import ConCatNet, floored, training_loss
from forecasters.errors import ModelStoreError

EVALUATION_BATCH: Final = 256
WARM_UP_RATE: Final = 2e-3


@dataclass(frozen=True, slots=True)
class Epoch:
    """What a progress callback is told after each epoch."""

    number: int  # from 1
    of: int
    training_loss: float
    validation_msle: float
    best_epoch: int
    best_msle: float


Progress = Callable[[Epoch], None]


@dataclass(slots=True)
class _Run:
    """Everything a checkpoint must hold for the run to go on as if it had never stopped."""

    net: ConCatNet
    optimiser: torch.optim.AdamW
    schedule: torch.optim.lr_scheduler.LRScheduler
    seed: int
    finished: int = 0
    best_epoch: int = 0
    best_msle: float = math.inf
    best: dict[str, Tensor] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        aside = path.with_name(f".{path.name}.{os.getpid()}")
        torch.save(
            {
                "net": self.net.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "schedule": self.schedule.state_dict(),
                "seed": self.seed,
                "finished": self.finished,
                "best_epoch": self.best_epoch,
                "best_msle": self.best_msle,
                "best": self.best,
            },
            aside,
        )
        aside.replace(path)

    def restore(self, path: Path) -> None:
        """Raises `ModelStoreError` for a checkpoint that is damaged or of another run."""
        try:
            state: dict[str, Any] = torch.load(path, weights_only=True)
            if state["seed"] != self.seed:
                raise ValueError(f"it was made with seed {state['seed']}, not {self.seed}")
            self.net.load_state_dict(state["net"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.schedule.load_state_dict(state["schedule"])
            self.finished, self.best_epoch = state["finished"], state["best_epoch"]
            self.best_msle, self.best = state["best_msle"], state["best"]
        except Exception as error:
            raise ModelStoreError(
                f"{path}: cannot go on from this checkpoint ({error}); delete it to start anew"
            ) from error


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
    """Train ``net`` in place and leave it with the weights of its best epoch; returns that epoch and its MSLE.

    Same seed, data, versions and thread count: the same weights to the bit, resumed or not (every epoch draws its
    own random numbers from the seed and its number). Without validation cases the last epoch stands. ``checkpoint`` is
    written after every epoch and, if it exists, gone on from. Raises `ModelStoreError` when it does not fit.
    ``warm_up`` are side features (M, F) and truths (M,) that a rolling network's side part is fitted to before; by
    default those of ``training``.
    """
    optimiser = _optimiser(net, config)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, config.epochs)
    run = _Run(net, optimiser, schedule, seed)
    if checkpoint is not None and checkpoint.exists():
        run.restore(checkpoint)
    elif net.side is not None:
        assert training.batch.side is not None
        _warm_up(net, config, warm_up or (training.batch.side, training.growth), seed)
        if len(validation):  # the sequence has to improve upon this to be kept
            run.best_msle = _msle(net, validation)
            run.best = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    while run.finished < config.epochs and run.finished - run.best_epoch < config.patience:
        epoch = run.finished + 1
        loss = _epoch(run, config, training, epoch)
        msle = _msle(net, validation) if len(validation) else loss
        run.finished = epoch
        if msle < run.best_msle or not len(validation):
            run.best_epoch, run.best_msle = epoch, msle
            run.best = {name: tensor.clone() for name, tensor in net.state_dict().items()}
        if checkpoint is not None:
            run.save(checkpoint)
        if progress is not None:
            progress(Epoch(epoch, config.epochs, loss, msle, run.best_epoch, run.best_msle))
    if run.best:
        net.load_state_dict(run.best)
    net.eval()
    return run.best_epoch, run.best_msle


def _side_parameters(net: ConCatNet) -> list[nn.Parameter]:
    if net.side is None or net.side_head is None:
        return []
    return [*net.side.parameters(), *net.side_head.parameters()]


def _optimiser(net: ConCatNet, config: ConCatConfig) -> torch.optim.AdamW:
    side = _side_parameters(net)
    known = {id(parameter) for parameter in side}
    groups: list[dict[str, Any]] = [{"params": [p for p in net.parameters() if id(p) not in known]}]
    if side:
        groups.append({"params": side, "lr": config.learning_rate * config.side_rate})
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas, weight_decay=config.weight_decay)


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


def _epoch(run: _Run, config: ConCatConfig, training: Prepared, number: int) -> float:
    """One pass over the training part; returns the mean loss of its batches."""
    lengths = training.batch.present.sum(1)
    generator = torch.Generator().manual_seed(run.seed * 1_000_003 + number)
    total = 0.0
    run.net.train()
    with torch.random.fork_rng(devices=[]):  # dropout draws from the global generator
        torch.manual_seed(run.seed * 1_000_003 + number)
        batches = shuffled_batches(lengths, config.batch_size, generator)
        for rows in batches:
            output = run.net(take(training.batch, rows))
            loss = training_loss(output, training.growth[rows], lengths[rows].sum(), config.likelihood_weight)
            run.optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(run.net.parameters(), config.max_gradient_norm)
            run.optimiser.step()
            total += float(loss.detach())
        run.schedule.step()
    return total / len(batches)


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
