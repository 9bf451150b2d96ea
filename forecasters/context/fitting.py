"""Fit a context network: on many random ages of every training cascade, each population on its own, in a minute."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from forecasters.base import Case
from forecasters.context.cases import context_cases
from forecasters.context.config import ContextConfig
from forecasters.context.network import ContextNet, Perceptrons, Scale, context_batch, floored
from forecasters.dataset import increments
from forecasters.labels import population_of


@dataclass(frozen=True, slots=True)
class _Rows:
    """Raw features (M, F) and truths log2(1 + increment) (M,)."""

    X: Tensor
    y: Tensor


def fit_context(train: Sequence[Case], config: ContextConfig, *, seed: int = 0) -> ContextNet:
    """Fit on the cases of ``train`` (at least one) and on random cuts of their cascades.

    The same seed gives the same weights to the bit; asked again for the last ones it answers at once, since one
    evaluation fits several models to the same cases. There is no validation part: the length was chosen once, by
    cross-validation, and an average of networks hardly overfits.
    """
    key = (config, seed, tuple((id(case.graph), case.as_of, case.horizon_seconds, case.increment) for case in train))
    if _LAST.key != key:
        # the cases are held, so that no other cascade can take the place of theirs in memory
        _LAST.net, _LAST.held, _LAST.key = _fit(train, config, seed), list(train), key
    assert _LAST.net is not None
    return copy.deepcopy(_LAST.net)


@dataclass(slots=True)
class _Last:
    """The last network that was fitted, and what to."""

    key: object = None
    net: ContextNet | None = None
    held: list[Case] = field(default_factory=list)


_LAST: Final = _Last()


def _fit(train: Sequence[Case], config: ContextConfig, seed: int) -> ContextNet:
    by_population: dict[str, list[Case]] = {}
    for case in [*train, *context_cases(train, config, seed)]:
        by_population.setdefault(population_of(case.graph), []).append(case)
    populations = tuple(sorted(by_population))
    rows = [_rows(by_population[name], config) for name in populations]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = ContextNet(rows[0].X.shape[1], populations, config)
        for index, own in enumerate(rows):
            net.scale.fit(index, own.X)
            _place(net, index, _perceptrons(net.scale(own.X)[index], own.y, config))
        net.gate_scale.fit(0, torch.cat([own.X for own in rows]))
        if len(rows) > 1:
            _train_gate(net.gate, net.gate_scale, [own.X for own in rows], config)
    return net.eval().requires_grad_(False)


def _rows(cases: Sequence[Case], config: ContextConfig) -> _Rows:
    X = context_batch([config.features(case.graph.view(case.as_of), case.horizon_seconds) for case in cases])
    return _Rows(X, torch.from_numpy(np.log2(1.0 + increments(cases)).astype(np.float32)))


def _perceptrons(x: Tensor, y: Tensor, config: ContextConfig) -> Perceptrons:
    """The members of one population, trained on scaled features (M, F); each sees them in an order of its own."""
    net = Perceptrons(config.members, x.shape[1], config)
    net.start_at(float(y.mean()))
    size = min(config.batch_size, len(y))
    batches = len(y) // size
    optimiser = torch.optim.AdamW(net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, config.learning_rate, total_steps=max(2, config.epochs * batches), pct_start=0.1
    )
    for _ in range(config.epochs):
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
    for _ in range(config.gate_epochs):
        for batch in torch.split(torch.randperm(len(truth)), config.batch_size):
            loss = nn.functional.cross_entropy(gate(X[batch]), truth[batch], weight=weight)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
