"""How good the last scores of each model were, by age: what a dashboard shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from forecasters.learning_ages import BUCKET_NAMES, bucket_of
from streams.scores import ScoreRecord

MEMORY_SCORES: Final = 500.0
"""A score counts 1/e after so many more: a coverage of 80 % then shows with a standard error of 1.3 points."""

Key = tuple[str, str, str]
"""Model, version, age bucket."""


@dataclass(slots=True)
class Rolling:
    """Weighted means over the last scores."""

    weight: float = 0.0
    squared: float = 0.0
    covered: float = 0.0

    def add(self, record: ScoreRecord) -> None:
        """Let earlier scores count a little less, and this one 1."""
        keep = 1.0 - 1.0 / MEMORY_SCORES
        self.weight = self.weight * keep + 1.0
        self.squared = self.squared * keep + record.squared_log_error
        self.covered = self.covered * keep + record.covered

    @property
    def msle(self) -> float:
        """Mean squared log2 error."""
        return self.squared / self.weight

    @property
    def coverage(self) -> float:
        """Share of truths inside their interval."""
        return self.covered / self.weight


class ScoreBoard:
    """The last scores of every model, version and age."""

    def __init__(self) -> None:
        self._rolling: dict[Key, Rolling] = {}

    def add(self, records: Sequence[ScoreRecord]) -> Iterator[tuple[Key, Rolling]]:
        """Take in scores; yields what they changed."""
        changed: dict[Key, None] = {}
        for record in records:
            bucket = int(bucket_of(np.array([record.age_seconds]))[0])
            key = (record.model, record.model_version, BUCKET_NAMES[bucket])
            self._rolling.setdefault(key, Rolling()).add(record)
            changed[key] = None
        for key in changed:
            yield key, self._rolling[key]
