"""The files of several networks: each keeps its own weights, and a single one is named as it always was."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from forecasters.members import fill_members, member_tensors


def networks(count: int, seed: int, width: int = 3) -> list[nn.Linear]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return [nn.Linear(width, 2) for _ in range(count)]


def test_every_network_gets_its_own_weights_back() -> None:
    made, others = networks(12, seed=0), networks(12, seed=1)
    fill_members(others, member_tensors(made))
    for one, other in zip(made, others, strict=True):
        assert torch.equal(one.weight, other.weight)
        assert not other.training
    assert not torch.equal(made[1].weight, made[11].weight)


def test_one_network_is_named_without_a_number() -> None:
    assert set(member_tensors(networks(1, seed=0))) == {"net.weight", "net.bias"}


def test_what_does_not_fit_is_refused() -> None:
    tensors = member_tensors(networks(1, seed=0))
    with pytest.raises(RuntimeError, match="weight"):
        fill_members(networks(2, seed=0), tensors)
    with pytest.raises(RuntimeError, match="weight"):
        fill_members(networks(1, seed=0, width=5), tensors)
