"""GraphWave of a batch, once for all models that read the same events: ConCat and CasFT of one blend do."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forecasters.base import Example
from graph.graphwave import graphwave_batch

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

CHUNK: Final = 256
"""Cascades whose GraphWave is computed at once: enough to batch, little to hold."""

REMEMBERED: Final = 8
"""Chunks of the last examples asked for: one model may go through as many before the next one begins."""


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Held with its arrays: as long as they are, no other array can be the same object."""

    arrays: list[NDArray[Any]]
    max_nodes: int
    observed: Floats
    waves: Singles

    def answers(self, arrays: Sequence[NDArray[Any]], observed: Floats, max_nodes: int) -> bool:
        return (
            max_nodes == self.max_nodes
            and len(arrays) == len(self.arrays)
            and all(mine is asked for mine, asked in zip(self.arrays, arrays, strict=True))
            and np.array_equal(observed, self.observed)
        )


class _Remembered(threading.local):
    def __init__(self) -> None:
        self.chunks: deque[_Chunk] = deque(maxlen=REMEMBERED)


_remembered = _Remembered()


def waves_of(examples: Sequence[Example], observed: Floats, max_nodes: int) -> list[Singles]:
    """Signatures (n, 40) of the events of each example, observed at the ages ``observed`` (B,); read-only."""
    found: list[Singles] = []
    for first in range(0, len(examples), CHUNK):
        part = slice(first, first + CHUNK)
        trees = [(example.inputs["ages"], example.inputs["parents"]) for example in examples[part]]
        found.extend(_waves(trees, observed[part], max_nodes))
    return found


def _waves(trees: Sequence[tuple[NDArray[Any], NDArray[Any]]], observed: Floats, max_nodes: int) -> Singles:
    arrays = [array for tree in trees for array in tree]
    for chunk in _remembered.chunks:
        if chunk.answers(arrays, observed, max_nodes):
            return chunk.waves
    waves = graphwave_batch(trees, observed, max_nodes)
    waves.setflags(write=False)
    _remembered.chunks.append(_Chunk(arrays, max_nodes, observed.copy(), waves))
    return waves
