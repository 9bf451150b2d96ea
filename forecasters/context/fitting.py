"""Fit a context network: on many random ages of every training cascade, each population on its own, in a minute."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from forecasters.base import Case
from forecasters.context.cases import context_cases
from forecasters.context.config import ContextConfig
from forecasters.context.later_ages import TEACHERS, Fit, later_labels
from forecasters.context.network import ContextNet, Perceptrons, Scale, context_batch, floored
from forecasters.dataset import increments
from forecasters.fit_steps import told
from forecasters.labels import population_of
from forecasters.last_cases import OfLastCases

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TaughtCases:
    """Cases of a context's training, their raw features (M, F), and what is learned of each: log2(1 + increment) (M,).

    The cases that were given come first, those of their cascades at other ages after them.
    """

    cases: list[Case]
    X: Tensor
    labels: Floats


def fit_context(train: Sequence[Case], config: ContextConfig, *, seed: int = 0) -> ContextNet:
    """Fit on the cases of ``train`` (at least one) and on random cuts of their cascades.

    The same seed gives the same weights to the bit; asked again for the last ones it answers at once. There is no
    validation part: the length was chosen once, by cross-validation, and an average of networks hardly overfits.
    """
    return copy.deepcopy(_NETS.of(train, (config, seed), lambda: _fit(train, config, seed)))


def taught_cases(train: Sequence[Case], config: ContextConfig, *, seed: int = 0) -> TaughtCases:
    """The cases that `fit_context` learns from, with its labels; asked again for the last ones it answers at once."""
    return _TAUGHT.of(train, (config, seed), lambda: _taught(train, config, seed))


_NETS: Final[OfLastCases[ContextNet]] = OfLastCases()
_TAUGHT: Final[OfLastCases[TaughtCases]] = OfLastCases()


def _taught(train: Sequence[Case], config: ContextConfig, seed: int) -> TaughtCases:
    cases = [*train, *context_cases(train, config, seed)]
    read = told("features at random ages", cases, every=1000)
    X = context_batch([config.features(case.graph.view(case.as_of), case.horizon_seconds) for case in read])
    labels = np.log2(1.0 + increments(cases))
    if config.teachers:
        teacher = replace(config, members=config.teachers, epochs=config.teachers_epochs)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for name, rows in _by_population(cases).items():
                labels[rows] = later_labels(
                    [cases[i] for i in rows],
                    X[torch.from_numpy(rows)],
                    config.features,
                    _teaching(teacher, name),
                    seed=seed,
                )
    return TaughtCases(cases, X, labels)


def _teaching(config: ContextConfig, population: str) -> Fit:
    """Fits one teacher after the other, and tells which."""
    number = itertools.count(1)
    return lambda X, y: _teacher(X, y, config, f"teacher {next(number)} of {TEACHERS}{_for(population)}")


def _for(population: str) -> str:
    return f" for {population}" if population else ""


def _teacher(X: Tensor, y: Tensor, config: ContextConfig, what: str) -> Callable[[Tensor], Tensor]:
    """What perceptrons fitted to raw features (M, F) and labels (M,) foretell of others, (B, F) -> (B,)."""
    read = X.shape[1] - config.of_gate_alone
    scale = Scale(1, read)
    scale.fit(0, X[:, :read])
    net = _perceptrons(scale(X[:, :read])[0], y, config, what).eval()

    def foretell(asked: Tensor) -> Tensor:
        with torch.inference_mode():
            growth, _ = net(scale(asked[:, :read]).expand(config.members, -1, -1))
            return floored(growth.mean(0))

    return foretell


def _by_population(cases: Sequence[Case]) -> dict[str, NDArray[np.int64]]:
    """The places of each population's cases, populations in the order of their names."""
    names = np.array([population_of(case.graph) for case in cases])
    return {str(name): np.flatnonzero(names == name) for name in np.unique(names)}


def _fit(train: Sequence[Case], config: ContextConfig, seed: int) -> ContextNet:
    taught = taught_cases(train, config, seed=seed)
    rows = {name: torch.from_numpy(places) for name, places in _by_population(taught.cases).items()}
    labels = torch.from_numpy(taught.labels.astype(np.float32))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = ContextNet(taught.X.shape[1], tuple(rows), config)
        for index, (name, own) in enumerate(rows.items()):
            X = taught.X[own, : net.read]
            net.scale.fit(index, X)
            _place(net, index, _perceptrons(net.scale(X)[index], labels[own], config, f"context network{_for(name)}"))
        net.gate_scale.fit(0, taught.X[torch.cat(list(rows.values()))])
        if len(rows) > 1:
            _train_gate(net.gate, net.gate_scale, [taught.X[own] for own in rows.values()], config)
    return net.eval().requires_grad_(False)


def _perceptrons(x: Tensor, y: Tensor, config: ContextConfig, what: str) -> Perceptrons:
    """The members of one population, trained on scaled features (M, F); each sees them in an order of its own.

    ``what`` they are is told a listener after each epoch.
    """
    net = Perceptrons(config.members, x.shape[1], config)
    net.start_at(float(y.mean()))
    size = min(config.batch_size, len(y))
    batches = len(y) // size
    optimiser = torch.optim.AdamW(net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, config.learning_rate, total_steps=max(2, config.epochs * batches), pct_start=0.1
    )
    for _ in told(what, range(config.epochs)):
        order = torch.stack([torch.randperm(len(y)) for _ in range(config.members)])  # (E, M)
        for batch in range(batches):
            rows = order[:, batch * size : (batch + 1) * size]
            growth, _ = net(x[rows])
            loss = ((floored(growth) - y[rows]) ** 2).mean(1).sum()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    return net


def _place(net: ContextNet, population: int, trained: Perceptrons) -> None:
    """Copy the members of one population to their places among all."""
    first = population * net.members
    own = dict(trained.named_parameters())
    with torch.no_grad():
        for name, parameter in net.perceptrons.named_parameters():
            parameter[first : first + net.members] = own[name]


def _train_gate(gate: nn.Module, scale: Scale, rows: Sequence[Tensor], config: ContextConfig) -> None:
    """Which population a row is of, by cross-entropy; every population weighs the same, whatever its number of rows."""
    X = scale(torch.cat(list(rows)))[0]
    truth = torch.cat([torch.full((len(own),), index) for index, own in enumerate(rows)])
    weight = torch.tensor([1.0 / len(own) for own in rows])
    weight = weight / weight.mean()
    optimiser = torch.optim.AdamW(gate.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    for _ in told("gate between populations", range(config.gate_epochs)):
        for batch in torch.split(torch.randperm(len(truth)), config.batch_size):
            loss = nn.functional.cross_entropy(gate(X[batch]), truth[batch], weight=weight)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
