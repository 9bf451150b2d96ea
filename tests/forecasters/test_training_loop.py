"""The loop that trains every network: it finds the minimum, keeps the best, stops, resumes to the bit, and says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from forecasters.errors import ModelStoreError
from forecasters.training_loop import Epoch, Optimisation, Task, chosen_device, train, training_on

SETTINGS = Optimisation(learning_rate=0.1, epochs=30, patience=30, weight_decay=0.0)
X = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
TRUTH = X @ torch.tensor([1.0, -2.0, 0.5])


def regression(validation: Callable[[], float] | None = None, dropout: float = 0.0) -> Task:
    """A linear regression in batches of 16."""
    net = nn.Sequential(nn.Dropout(dropout), nn.Linear(3, 1))
    nn.init.zeros_(net[1].weight)  # type: ignore[arg-type]
    nn.init.zeros_(net[1].bias)  # type: ignore[arg-type]

    def loss(rows: Tensor) -> Tensor:
        return torch.mean((net(X[rows]).squeeze(1) - TRUTH[rows]) ** 2)

    def batches(generator: torch.Generator) -> list[Tensor]:
        return list(torch.split(torch.randperm(64, generator=generator), 16))

    return Task(net, batches, loss, validation=validation)


def weights(task: Task) -> list[float]:
    return [round(value, 6) for parameter in task.net.parameters() for value in parameter.flatten().tolist()]


def scripted(values: list[float]) -> Callable[[], float]:
    """A validation that says one value after another."""
    left = iter(values)
    return lambda: next(left)


def test_it_finds_the_minimum() -> None:
    task = regression()
    epoch, loss = train(task, SETTINGS, seed=0)
    assert epoch == 30
    assert loss < 1e-3
    assert weights(task)[:3] == pytest.approx([1.0, -2.0, 0.5], abs=0.02)
    assert not task.net.training


def test_the_best_weights_stand_and_patience_ends_the_run() -> None:
    seen: list[tuple[Epoch, list[float]]] = []
    task = regression(scripted([3.0, 1.0, 2.0, 1.5, 0.1]))
    settings = replace(SETTINGS, patience=2)
    found = train(task, settings, seed=0, progress=lambda epoch: seen.append((epoch, weights(task))))
    assert found == (2, 1.0)
    assert [epoch.number for epoch, _ in seen] == [1, 2, 3, 4]
    assert [epoch.best_epoch for epoch, _ in seen] == [1, 2, 2, 2]
    assert weights(task) == seen[1][1]


def test_a_warm_up_is_an_epoch_to_improve_upon() -> None:
    task = regression(scripted([0.5, 3.0, 2.0, 1.0]))
    warm = [torch.full((1, 3), 9.0), torch.full((1,), 9.0)]

    def warm_up() -> None:
        with torch.no_grad():
            for parameter, value in zip(task.net.parameters(), warm, strict=True):
                parameter.copy_(value)

    assert train(replace(task, warm_up=warm_up), replace(SETTINGS, patience=3), seed=0) == (0, 0.5)
    assert weights(task) == [9.0] * 4


@pytest.mark.parametrize("stop", [1, 3])
def test_a_resumed_run_is_the_same_to_the_bit(stop: int, tmp_path: Path) -> None:
    settings = replace(SETTINGS, epochs=5)
    whole = regression(dropout=0.3)
    train(whole, settings, seed=7)

    def interrupt(epoch: Epoch) -> None:
        if epoch.number == stop:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(regression(dropout=0.3), settings, seed=7, progress=interrupt, checkpoint=tmp_path / "c")
    torch.rand(3)  # what else the process draws must not matter
    resumed = regression(dropout=0.3)
    train(resumed, settings, seed=7, checkpoint=tmp_path / "c")
    for one, other in zip(whole.net.parameters(), resumed.net.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_checkpoint_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    checkpoint = tmp_path / "c"
    train(regression(), replace(SETTINGS, epochs=1), seed=1, checkpoint=checkpoint)
    with pytest.raises(ModelStoreError, match="seed 1, not 2"):
        train(regression(), SETTINGS, seed=2, checkpoint=checkpoint)
    checkpoint.write_bytes(b"torn")
    with pytest.raises(ModelStoreError, match="delete it to start anew"):
        train(regression(), SETTINGS, seed=1, checkpoint=checkpoint)


def test_slower_parameters_move_less_and_frozen_ones_not_at_all() -> None:
    task = regression()
    linear = task.net[1]  # type: ignore[index]
    train(replace(task, slower=[([linear.bias], 0.0)]), replace(SETTINGS, epochs=3), seed=0)
    assert weights(task)[3] == 0.0
    assert all(weights(task)[:3])
    task = regression()
    task.net[1].weight.requires_grad_(False)  # type: ignore[index]
    train(task, replace(SETTINGS, epochs=3), seed=0)
    assert weights(task)[:3] == [0.0] * 3
    assert weights(task)[3] != 0.0


def test_the_device_can_be_told() -> None:
    with training_on("cpu"):
        assert chosen_device() == torch.device("cpu")
