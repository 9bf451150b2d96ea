"""From prepared examples to the tensors of a batch: right-aligned, with GraphWave for all cascades at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from forecasters.base import Case, Example
from forecasters.concat.config import GRAPHWAVE_FEATURES
from forecasters.concat.model import Batch
from forecasters.concat.waves import waves_of
from forecasters.context.network import context_batch
from forecasters.user_embedding import UserEmbedding

Floats = NDArray[np.float64]


def lengths_of(examples: Sequence[Example]) -> NDArray[np.int64]:
    """Events of each example's sequence, (B,)."""
    return np.array([len(example.inputs["ages"]) for example in examples], dtype=np.int64)


def collate(examples: Sequence[Example], embedding: UserEmbedding | None = None) -> Batch:
    """The tensors of a batch of examples (at least one); ``embedding`` where the model reads users."""
    lengths = lengths_of(examples)
    B, N = len(examples), int(lengths.max())
    times = np.zeros((B, N), dtype=np.float32)
    present = np.arange(N) >= N - lengths[:, None]
    waves = np.zeros((B, N, GRAPHWAVE_FEATURES), dtype=np.float32)
    observed = np.array([example.age_seconds for example in examples])
    for b, signature in enumerate(waves_of(examples, observed, N)):
        waves[b, N - lengths[b] :] = signature[: lengths[b]]
    for b, example in enumerate(examples):
        if observed[b] > 0:
            times[b, N - lengths[b] :] = np.clip(example.inputs["ages"] / observed[b], 0.0, 1.0)
    users: Tensor | None = None
    if embedding is not None:
        vectors = np.zeros((B, N, embedding.width), dtype=np.float32)
        for b, example in enumerate(examples):
            vectors[b, N - lengths[b] :] = embedding.of(example.inputs["users"])
        users = torch.from_numpy(vectors)
    context: Tensor | None = None
    if "context" in examples[0].inputs:
        context = context_batch([example.inputs["context"] for example in examples])
    return Batch(torch.from_numpy(times), torch.from_numpy(present), torch.from_numpy(waves), users, context)


def take(batch: Batch, rows: Tensor) -> Batch:
    """The chosen samples, cut to the longest of them."""
    present = batch.present[rows]
    N = max(1, int(present.sum(1).max())) if len(rows) else 1

    def cut(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor[rows, -N:]

    def pick(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor[rows]

    return Batch(
        batch.times[rows, -N:],
        present[:, -N:],
        batch.graphwave[rows, -N:],
        cut(batch.users),
        pick(batch.context),
    )


@dataclass(frozen=True, slots=True)
class Prepared:
    """Examples ready to train on or to judge by: the tensors of all, and the truths log2(1 + increment), (M,)."""

    batch: Batch
    growth: Tensor

    def __len__(self) -> int:
        return len(self.growth)

    def to(self, device: torch.device) -> Prepared:
        """On another device."""
        b = self.batch
        users, context = (None if t is None else t.to(device) for t in (b.users, b.context))
        moved = Batch(b.times.to(device), b.present.to(device), b.graphwave.to(device), users, context)
        return Prepared(moved, self.growth.to(device))

    def none(self) -> Prepared:
        """No cases, of the same shapes."""
        return Prepared(take(self.batch, torch.arange(0)), self.growth[:0])

    @classmethod
    def of(cls, examples: Sequence[Example], cases: Sequence[Case], embedding: UserEmbedding | None) -> Prepared:
        """Collate once; training then only indexes."""
        truth = np.log2(1.0 + np.array([case.increment for case in cases], dtype=np.float64))
        return cls(collate(examples, embedding), torch.from_numpy(truth.astype(np.float32)))


def shuffled_batches(lengths: Tensor, size: int, generator: torch.Generator) -> list[Tensor]:
    """Random batches of like lengths: shuffled, sorted by length within windows of eight batches, batches shuffled."""
    order = torch.randperm(len(lengths), generator=generator)
    windows = torch.split(order, 8 * size)
    batches = [b for window in windows for b in torch.split(window[torch.argsort(lengths[window], stable=True)], size)]
    return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]


def sorted_batches(lengths: Tensor, size: int) -> list[Tensor]:
    """Batches of like lengths for inference."""
    return list(torch.split(torch.argsort(lengths, stable=True), size))
