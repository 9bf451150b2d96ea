"""One loop for every network: AdamW, cosine schedule, early stopping by validation MSLE, resumable to the bit."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from forecasters.errors import ModelStoreError
from forecasters.training_plan import Device
from graph.errors import UserError


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


@dataclass(frozen=True, slots=True)
class Optimisation:
    """How the weights move; every forecaster's configuration has these settings among its own."""

    learning_rate: float
    epochs: int
    """Length of the cosine schedule."""
    patience: int
    """Epochs without a better validation MSLE after which training stops."""
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 1e-6
    max_gradient_norm: float = 5.0
    """A likelihood term spikes for a burst within one second; clipping keeps such a batch from undoing an epoch."""
    averaging: float = 0.0
    """Decay a step of the running average of the weights (Polyak and Juditsky 1992) that is judged and kept in their
    place; 0 keeps the weights themselves. With batches of a few cascades the last step is mostly noise."""
    half_precision: bool = False
    """bfloat16 autocast of the loss on CUDA; on CPU it costs more than it gains and is never used."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is trained on what. Rows are indices of training cases, as ``batches`` hands them out."""

    net: nn.Module
    batches: Callable[[torch.Generator], Sequence[Tensor]]
    """The batches of one epoch, drawn with its own generator."""
    loss: Callable[[Tensor], Tensor]
    """The loss of a batch of rows; the network is in training mode."""
    validation: Callable[[], float] | None = None
    """MSLE on the validation part; None without one, when the last epoch stands."""
    slower: Sequence[tuple[Iterable[nn.Parameter], float]] = ()
    """Parameters that learn at a fraction of the rate, with the fraction; all others learn at the full rate."""
    warm_up: Callable[[], None] | None = None
    """Run once before the first epoch; the weights it leaves are epoch 0, which later ones must improve upon."""


_DEVICE: ContextVar[Device] = ContextVar("device", default="auto")


@contextmanager
def training_on(device: Device) -> Iterator[None]:
    """While the block runs, `chosen_device` is ``device``; raises `UserError` for cuda where there is none."""
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: PyTorch finds no CUDA device here; use --device cpu or auto")
    token = _DEVICE.set(device)
    try:
        yield
    finally:
        _DEVICE.reset(token)


def chosen_device() -> torch.device:
    """The one of `training_on`; without it, or with ``auto``: CUDA where there is one, else the CPU."""
    wanted = _DEVICE.get()
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(wanted)


@dataclass(slots=True)
class _Run:
    """Everything a checkpoint must hold for the run to go on as if it had never stopped."""

    net: nn.Module
    optimiser: torch.optim.AdamW
    schedule: torch.optim.lr_scheduler.LRScheduler
    seed: int
    finished: int = 0
    best_epoch: int = 0
    best_msle: float = math.inf
    best: dict[str, Tensor] = field(default_factory=dict)
    average: dict[str, Tensor] = field(default_factory=dict)
    """Running average of the parameters that are trained; empty without averaging."""

    def begin_average(self) -> None:
        self.average = {name: p.detach().clone() for name, p in self.net.named_parameters() if p.requires_grad}

    @torch.no_grad()
    def follow(self, decay: float) -> None:
        """Move the average towards the weights after a step."""
        for name, parameter in self.net.named_parameters():
            if name in self.average:
                self.average[name].lerp_(parameter, 1.0 - decay)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """While the block runs, the network has the averaged weights."""
        own = {name: p.detach().clone() for name, p in self.net.named_parameters() if name in self.average}
        self.net.load_state_dict(self.average, strict=False)
        try:
            yield
        finally:
            self.net.load_state_dict(own, strict=False)

    def keep(self, epoch: int, msle: float) -> None:
        self.best_epoch, self.best_msle = epoch, msle
        self.best = {name: tensor.clone() for name, tensor in self.net.state_dict().items()}

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
                "average": self.average,
            },
            aside,
        )
        aside.replace(path)

    def restore(self, path: Path, device: torch.device) -> None:
        """Raises `ModelStoreError` for a checkpoint that is damaged or of another run."""
        try:
            state: dict[str, Any] = torch.load(path, weights_only=True, map_location=device)
            if state["seed"] != self.seed:
                raise ValueError(f"it was made with seed {state['seed']}, not {self.seed}")
            self.net.load_state_dict(state["net"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.schedule.load_state_dict(state["schedule"])
            self.finished, self.best_epoch = state["finished"], state["best_epoch"]
            self.best_msle, self.best, self.average = state["best_msle"], state["best"], state["average"]
        except Exception as error:
            raise ModelStoreError(
                f"{path}: cannot go on from this checkpoint ({error}); delete it to start anew"
            ) from error


def train(
    task: Task,
    settings: Optimisation,
    *,
    seed: int,
    progress: Progress | None = None,
    checkpoint: Path | None = None,
) -> tuple[int, float]:
    """Train ``task.net`` in place and leave it with the weights of its best epoch; returns that epoch and its MSLE.

    Same seed, data, versions and thread count: the same weights to the bit on CPU, resumed or not (every epoch draws
    its own random numbers from the seed and its number). ``checkpoint`` is written after every epoch and, if it
    exists, gone on from. Raises `ModelStoreError` when it does not fit.
    """
    optimiser = _optimiser(task, settings)
    run = _Run(task.net, optimiser, torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.epochs), seed)
    if checkpoint is not None and checkpoint.exists():
        run.restore(checkpoint, _device_of(task.net))
    elif task.warm_up is not None:
        task.warm_up()
        if task.validation is not None:
            run.keep(0, task.validation())
    if settings.averaging and not run.average:
        run.begin_average()
    while run.finished < settings.epochs and run.finished - run.best_epoch < settings.patience:
        epoch = run.finished + 1
        loss = _epoch(run, task, settings, epoch)
        with run.averaged():
            msle = loss if task.validation is None else task.validation()
            if msle < run.best_msle or task.validation is None:
                run.keep(epoch, msle)
        run.finished = epoch
        if checkpoint is not None:
            run.save(checkpoint)
        if progress is not None:
            progress(Epoch(epoch, settings.epochs, loss, msle, run.best_epoch, run.best_msle))
    if run.best:
        task.net.load_state_dict(run.best)
    task.net.eval()
    return run.best_epoch, run.best_msle


def _device_of(net: nn.Module) -> torch.device:
    return next(net.parameters()).device


def _optimiser(task: Task, settings: Optimisation) -> torch.optim.AdamW:
    slower = [(list(parameters), fraction) for parameters, fraction in task.slower]
    known = {id(parameter) for parameters, _ in slower for parameter in parameters}
    rest = [p for p in task.net.parameters() if id(p) not in known and p.requires_grad]
    groups: list[dict[str, Any]] = [{"params": rest}]
    groups += [{"params": ps, "lr": settings.learning_rate * fraction} for ps, fraction in slower if ps]
    return torch.optim.AdamW(
        groups, lr=settings.learning_rate, betas=settings.betas, weight_decay=settings.weight_decay
    )


def _epoch(run: _Run, task: Task, settings: Optimisation, number: int) -> float:
    """One pass over the training part; returns the mean loss of its batches."""
    device = _device_of(run.net)
    own_seed = run.seed * 1_000_003 + number
    total = torch.zeros((), device=device, dtype=torch.float64)  # read once an epoch: each reading waits for the GPU
    half = torch.autocast("cuda", torch.bfloat16, enabled=settings.half_precision and device.type == "cuda")
    run.net.train()
    # dropout and noise draw from the global generators
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(own_seed)
        batches = task.batches(torch.Generator().manual_seed(own_seed))
        for rows in batches:
            with half:
                loss = task.loss(rows)
            run.optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(run.net.parameters(), settings.max_gradient_norm)
            run.optimiser.step()
            if run.average:
                run.follow(settings.averaging)
            total += loss.detach()
        run.schedule.step()
    return float(total) / len(batches)
