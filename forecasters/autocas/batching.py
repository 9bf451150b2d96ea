"""From prepared examples to the tensors of a batch, with their last observed tokens in one column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from forecasters.autocas.model import Batch
from forecasters.autocas.tokens import TOKEN_SIZE
from forecasters.base import Example
from forecasters.context.network import ContextNet, context_batch

Floats = NDArray[np.float64]


def collate(examples: Sequence[Example], context: ContextNet | None) -> Batch:
    """The tensors of at least one example, with what the context network says of them, if there is one."""
    return place([_tokens(e) for e in examples], [_observed(e) for e in examples], *told(examples, context))


def told(examples: Sequence[Example], context: ContextNet | None) -> tuple[Tensor | None, Tensor | None]:
    """Growth (B,) and hidden layer (B, h) of the context network."""
    if context is None:
        return None, None
    growth, hidden = context(context_batch([example.inputs["context"] for example in examples]))
    return growth, hidden


def place(
    tokens: Sequence[NDArray[Any]],
    observed: Sequence[int],
    growth: Tensor | None = None,
    hidden: Tensor | None = None,
) -> Batch:
    """Rows of tokens (n, TOKEN_SIZE) of which the first ``observed`` are observed, brought into one batch."""
    before = max(observed)
    after = max(len(row) - n for row, n in zip(tokens, observed, strict=True))
    found = np.zeros((len(tokens), before + after, TOKEN_SIZE), np.float32)
    present = np.zeros(found.shape[:2], np.bool_)
    for b, (row, n) in enumerate(zip(tokens, observed, strict=True)):
        found[b, before - n : before - n + len(row)] = row
        present[b, before - n : before - n + len(row)] = True
    return Batch(torch.from_numpy(found), torch.from_numpy(present), before - 1, growth, hidden)


def _tokens(example: Example) -> NDArray[Any]:
    return example.inputs["tokens"]


def _observed(example: Example) -> int:
    return int(example.inputs["observed_steps"])


@dataclass(frozen=True, slots=True)
class Prepared:
    """Examples ready to train on or to judge by.

    Shapes: batch of M; total (M,) true log2(1 + increment); following (M, N) true log2(1 + reshares of the next step),
    NaN where unknown.
    """

    batch: Batch
    total: Tensor
    following: Tensor

    def __len__(self) -> int:
        return len(self.total)

    @classmethod
    def of(
        cls, examples: Sequence[Example], following: Sequence[Floats], increments: Floats, context: ContextNet | None
    ) -> Prepared:
        """Of examples whose future tokens carry true counts; ``following`` are the counts of the steps after them."""
        with torch.inference_mode():
            growth, hidden = told(examples, context)
        # a tensor made in inference mode cannot take part in training
        growth, hidden = (None if t is None else t.clone() for t in (growth, hidden))
        batch = place([_tokens(e) for e in examples], [_observed(e) for e in examples], growth, hidden)
        targets = np.full(batch.present.shape, np.nan)
        for b, (example, counts) in enumerate(zip(examples, following, strict=True)):
            first = batch.edge + 1 - _observed(example)
            targets[b, first : first + len(counts)] = counts
        return cls(batch, _log(increments), _log(targets))

    def to(self, device: torch.device) -> Prepared:
        """The same on another device."""
        return Prepared(self.batch.to(device), self.total.to(device), self.following.to(device))

    def take(self, rows: Tensor, *, future: bool = True) -> Prepared:
        """The chosen rows without the columns in which none of them has a token; ``future`` False ends at the edge."""
        b = self.batch
        present = b.present[rows]
        if not future:
            present = present[:, : b.edge + 1]
        used = present.any(0).nonzero()
        columns = slice(int(used[0]), int(used[-1]) + 1)
        growth, hidden = (None if t is None else t[rows] for t in (b.growth, b.hidden))
        batch = Batch(b.tokens[rows, columns], present[:, columns], b.edge - int(used[0]), growth, hidden)
        return Prepared(batch, self.total[rows], self.following[rows, columns])


def _log(counts: Floats) -> Tensor:
    return torch.from_numpy(np.log2(1.0 + counts).astype(np.float32))
