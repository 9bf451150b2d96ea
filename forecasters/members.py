"""What a version of several networks keeps on disk: the tensors of each under a name of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn


def member_tensors(nets: Sequence[nn.Module]) -> dict[str, NDArray[Any]]:
    """The tensors of all networks, those of the first as they are named where there is no other."""
    return {
        f"{_prefix(member)}{name}": tensor.cpu().numpy()
        for member, net in enumerate(nets)
        for name, tensor in net.state_dict().items()
    }


def fill_members(nets: Sequence[nn.Module], tensors: Mapping[str, NDArray[Any]]) -> None:
    """Read back `member_tensors` into ``nets``, ready to forecast; raises `RuntimeError` where they do not fit."""
    for member, net in enumerate(nets):
        prefix = _prefix(member)
        own = {k.removeprefix(prefix): torch.from_numpy(v) for k, v in tensors.items() if k.startswith(prefix)}
        net.load_state_dict(own)
        net.eval()


def _prefix(member: int) -> str:
    return "net." if member == 0 else f"net{member}."
