"""From prepared examples to the tensors of a batch: ConCat's, the part of the horizon that was observed, and noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from forecasters.base import Case, Example
from forecasters.casft.config import CasFTConfig
from forecasters.casft.model import Batch, Truth
from forecasters.casft.noise import example_seeds, normal_noise
from forecasters.casft.trend import true_trends
from forecasters.concat.batching import Prepared as Observations
from forecasters.concat.batching import collate, take
from forecasters.dataset import increments
from forecasters.trajectory import times_of
from forecasters.user_embedding import UserEmbedding


def batch_of(examples: Sequence[Example], config: CasFTConfig, embedding: UserEmbedding | None) -> Batch:
    """The tensors of a batch of examples (at least one); ``embedding`` where the model reads users."""
    return Batch(collate(examples, embedding), _observed(examples), _noise(examples, config))


def _observed(examples: Sequence[Example]) -> Tensor:
    """t_o / t_p, (B,), in [0, 1]."""
    age, horizon, _ = times_of(examples)
    return _single(np.where(age < horizon, age / np.maximum(horizon, 1e-9), 1.0))


def _noise(examples: Sequence[Example], config: CasFTConfig) -> Tensor:
    shape = (config.samples // 2, config.intervals)
    return torch.from_numpy(normal_noise(example_seeds(examples), shape[0] * shape[1]).reshape(-1, *shape))


def _single(values: NDArray[Any]) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))


@dataclass(frozen=True, slots=True)
class Prepared:
    """M examples ready to train on or to judge by; their lengths (M,) stay on the CPU, where batches are made."""

    batch: Batch
    truth: Truth
    lengths: Tensor

    def __len__(self) -> int:
        return len(self.lengths)

    @classmethod
    def of(
        cls, examples: Sequence[Example], cases: Sequence[Case], config: CasFTConfig, embedding: UserEmbedding | None
    ) -> Prepared:
        """Collate once (at least one case); training then only indexes."""
        batch = batch_of(examples, config, embedding)
        trends, known = true_trends(cases, config.intervals)
        truth = Truth(_single(np.log2(1.0 + increments(cases))), _single(trends), torch.from_numpy(known))
        return cls(batch, truth, batch.observation.present.sum(1))

    def to(self, device: torch.device) -> Prepared:
        """On another device."""
        batch, truth = self.batch, self.truth
        observation = Observations(batch.observation, truth.growth).to(device).batch
        moved = Truth(truth.growth.to(device), truth.trend.to(device), truth.known.to(device))
        return Prepared(Batch(observation, batch.observed.to(device), batch.noise.to(device)), moved, self.lengths)

    def rows(self, chosen: Tensor) -> tuple[Batch, Truth]:
        """Some of them, by index, cut to the longest of them."""
        batch, truth = self.batch, self.truth
        return (
            Batch(take(batch.observation, chosen), batch.observed[chosen], batch.noise[chosen]),
            Truth(truth.growth[chosen], truth.trend[chosen], truth.known[chosen]),
        )
