"""From prepared examples to the tensors of a batch: right-aligned, times in horizons, GraphWave for all at once."""

from __future__ import annotations

from collections.abc import Sequence as Many
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from forecasters.base import Case, Example
from forecasters.casft.config import CasFTConfig
from forecasters.casft.cues import Sequence
from forecasters.casft.model import Batch, Truth
from forecasters.casft.noise import example_seeds, normal_noise
from forecasters.casft.trend import true_trends
from forecasters.concat.batching import lengths_of
from forecasters.concat.config import GRAPHWAVE_FEATURES
from forecasters.context import context_batch
from forecasters.dataset import increments
from graph.graphwave import graphwave_batch

GRAPHWAVE_CHUNK: Final = 256
"""Cascades whose GraphWave is computed at once: enough to batch, little to hold."""


def collate(examples: Many[Example], config: CasFTConfig) -> Batch:
    """The tensors of a batch of examples (at least one)."""
    lengths = lengths_of(examples)
    B, N = len(examples), int(lengths.max())
    ages = np.zeros((B, N))
    present = np.arange(N) >= N - lengths[:, None]
    ages[present] = np.concatenate([example.inputs["ages"] for example in examples])
    age = np.array([example.age_seconds for example in examples])
    horizon = np.maximum(np.array([example.horizon_seconds for example in examples]), 1e-9)
    observed = np.minimum(age / horizon, 1.0)  # t_o / t_p
    times = np.clip(ages / horizon[:, None], 0.0, observed[:, None])
    waves = np.zeros((B, N, GRAPHWAVE_FEATURES), dtype=np.float32)
    for first in range(0, B, GRAPHWAVE_CHUNK):
        part = slice(first, first + GRAPHWAVE_CHUNK)
        trees = [(e.inputs["ages"], e.inputs["parents"]) for e in examples[part]]
        for b, signature in enumerate(graphwave_batch(trees, age[part], N), start=first):
            waves[b, N - lengths[b] :] = signature[: lengths[b]]
    noise = normal_noise(example_seeds(examples), config.samples // 2 * config.intervals)
    return Batch(
        Sequence(_single(times), torch.from_numpy(present), _single(observed), torch.from_numpy(waves)),
        torch.from_numpy(noise.reshape(B, config.samples // 2, config.intervals)),
        context_batch([example.inputs["context"] for example in examples]) if config.context else None,
    )


def _single(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))


def take(batch: Batch, rows: Tensor) -> Batch:
    """The chosen samples, cut to the longest of them."""
    sequence = batch.sequence
    present = sequence.present[rows]
    N = max(1, int(present.sum(1).max())) if len(rows) else 1
    return Batch(
        Sequence(sequence.times[rows, -N:], present[:, -N:], sequence.observed[rows], sequence.graphwave[rows, -N:]),
        batch.noise[rows],
        None if batch.context is None else batch.context[rows],
    )


@dataclass(frozen=True, slots=True)
class Prepared:
    """M examples ready to train on or to judge by; their lengths (M,) stay on the CPU, where batches are made."""

    batch: Batch
    truth: Truth
    lengths: Tensor

    def __len__(self) -> int:
        return len(self.lengths)

    @classmethod
    def of(cls, examples: Many[Example], cases: Many[Case], config: CasFTConfig, device: torch.device) -> Prepared:
        """Collate once (at least one case); training then only indexes."""
        trends, known = true_trends(cases, config.intervals)
        batch = collate(examples, config)
        own = batch.sequence
        parts = (part.to(device) for part in (own.times, own.present, own.observed, own.graphwave))
        return cls(
            Batch(
                Sequence(*parts),
                batch.noise.to(device),
                None if batch.context is None else batch.context.to(device),
            ),
            Truth(
                _single(np.log2(1.0 + increments(cases))).to(device),
                _single(trends).to(device),
                torch.from_numpy(known).to(device),
            ),
            own.present.sum(1),
        )

    def rows(self, chosen: Tensor) -> tuple[Batch, Truth]:
        """Some of them, by index."""
        truth = self.truth
        return take(self.batch, chosen), Truth(truth.growth[chosen], truth.trend[chosen], truth.known[chosen])
