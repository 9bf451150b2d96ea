"""Noise that belongs to an example: the same alone and in any batch, in any process, on any day."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forecasters.base import Example
from graph.identity import hash_of

Words = NDArray[np.uint64]

GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
SECOND: Final = np.uint64(0x94D049BB133111EB)


def example_seeds(examples: Sequence[Example]) -> Words:
    """One 64-bit seed an example, (B,): a hash of its cascade and its ``as_of``."""
    return np.array([hash_of(f"{e.cascade}\n{e.as_of!r}") for e in examples], dtype=np.uint64)


def _mixed(words: Words) -> Words:
    """The finaliser of SplitMix64 (Steele et al. 2014): every bit of the input moves every bit of the output."""
    words = (words ^ (words >> np.uint64(30))) * FIRST
    words = (words ^ (words >> np.uint64(27))) * SECOND
    return np.asarray(words ^ (words >> np.uint64(31)))


def normal_noise(seeds: Words, count: int) -> NDArray[np.float32]:
    """``count`` standard normal numbers for each seed, (B, count): SplitMix64 from the seed, then Box-Muller."""
    pairs = (count + 1) // 2
    with np.errstate(over="ignore"):  # modulo 2^64 is meant
        places = GOLDEN * np.arange(1, 2 * pairs + 1, dtype=np.uint64)
        words = _mixed(seeds[:, None] + places)
    uniform: NDArray[Any] = ((words >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53  # inside (0, 1)
    radius = np.sqrt(-2.0 * np.log(uniform[:, :pairs]))
    angle = 2.0 * math.pi * uniform[:, pairs:]
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)[:, :count].astype(np.float32)
