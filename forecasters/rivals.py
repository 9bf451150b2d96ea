"""Which of two models errs less, on the same posts, told at any time without fooling oneself.

For each pair and age the differences of squared log errors are summed, a post at most once. Their mean has an interval
that holds at all times at once, so one may look after every score and act on the first that is clear: the asymptotic
confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas 2024, Time-uniform central limit theory and
asymptotic confidence sequences (Annals of Statistics). It asks neither that posts are alike nor that models stay as
they are: what it encloses is the mean, over the posts so far, of what was to be expected of each given those before it
(as in Choe & Ramdas 2023, Comparing sequential forecasters). Asymptotic means: as honest as a t-test of `LEAST_CASES`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from forecasters.learning_ages import BUCKETS

Floats = NDArray[np.float64]

ERROR_CAP: Final = 4.0
"""log2: an error counts as a factor of 16 at most. One absurd forecast must not decide, and the heavier the tails, the
more cases the asymptotics take."""

ERROR_RATE: Final = 0.001
"""Chance that the interval of one pair at one age ever fails while its sums live, half of it on either side. Models,
rivals and ages together make some two hundred: at most one false alarm in ten weeks."""

LEAST_CASES: Final = 200
"""Before so many posts nothing is told."""

TIGHTEST_AT_CASES: Final = 1000.0
"""Where the sequence is narrowest; at ten times as many or a tenth it is a quarter wider than it could be."""

TERM_SECONDS: Final = 7 * 86_400.0
"""Event time. Sums begin anew every week, and each lives for two: what is shown rests on one to two weeks, so that last
year's merits neither hide that a model is beaten today nor last year's faults that it is not."""

_RHO2: Final = (-2.0 * math.log(ERROR_RATE) + math.log(-2.0 * math.log(ERROR_RATE) + 1.0)) / TIGHTEST_AT_CASES


@dataclass(frozen=True, slots=True)
class Difference:
    """Mean squared log error of one model less that of another, both capped, with its interval."""

    cases: int
    mean: float
    low: float
    high: float

    @property
    def is_enough(self) -> bool:
        """Whether there are cases enough to tell anything."""
        return self.cases >= LEAST_CASES

    @property
    def beaten(self) -> bool:
        """Whether the first is the worse beyond chance."""
        return self.is_enough and self.low > 0.0

    @classmethod
    def of(cls, cases: float, total: float, squares: float) -> Self:
        """From the sums of the differences and their squares; at least one case."""
        mean = total / cases
        variance = max(squares / cases - mean * mean, 0.0)
        spread = cases * _RHO2 + 1.0
        width = math.sqrt(variance * 2.0 * spread / (cases * cases * _RHO2) * math.log(math.sqrt(spread) / ERROR_RATE))
        return cls(int(cases), mean, mean - width, mean + width)


class Rivals:
    """The sums of all pairs of which one was published; one case after another, the same however they are grouped.

    >>> rivals = Rivals()
    >>> for _ in range(400):
    ...     rivals.add(("a@1", "b@1"), (True, True), [2.0, 1.0], 2, 0.0)
    >>> rivals.difference("a@1", "b@1", 2).beaten, rivals.difference("b@1", "a@1", 2).beaten
    (True, False)
    """

    def __init__(self) -> None:
        self.pairs: dict[tuple[str, str], int] = {}  # names in order -> row of the sums
        self.sums: Floats = np.zeros((2, 0, BUCKETS, 3))  # (older and newer term, pair, age, cases total squares)
        self.term = -math.inf

    def copy(self) -> Rivals:
        """Another one with the same sums, which `add` does not change."""
        other = Rivals()
        other.pairs, other.sums, other.term = dict(self.pairs), self.sums.copy(), self.term
        return other

    def add(
        self, models: tuple[str, ...], published: tuple[bool, ...], log_errors: Sequence[float], bucket: int, at: float
    ) -> None:
        """One post at one age, whose truth became known at event time ``at`` (s): the errors of all ``models``."""
        self._enter(float(math.floor(at / TERM_SECONDS)))
        pairs, first, second = _pairs_of(models, published)
        for pair in pairs:
            self.pairs.setdefault(pair, len(self.pairs))
        if len(self.pairs) > self.sums.shape[1]:
            more = len(self.pairs) - self.sums.shape[1]
            self.sums = np.concatenate([self.sums, np.zeros((2, more, BUCKETS, 3))], axis=1)
        squares = np.clip(log_errors, -ERROR_CAP, ERROR_CAP) ** 2
        differences = squares[first] - squares[second]
        rows = [self.pairs[pair] for pair in pairs]
        self.sums[:, rows, bucket] += np.stack([np.ones(len(rows)), differences, differences**2], axis=1)

    def _enter(self, term: float) -> None:
        if term > self.term:
            older = self.sums[1] if term == self.term + 1 else np.zeros_like(self.sums[1])
            self.sums = np.stack([older, np.zeros_like(older)])
            self.term = term

    def __add__(self, other: Rivals) -> Rivals:
        """The sums of both: those of two partitions of a stream. Sums of a term that has passed do not count."""
        both = self.copy()
        both._enter(other.term)
        theirs = other.copy()
        theirs._enter(both.term)
        for pair in theirs.pairs:
            both.pairs.setdefault(pair, len(both.pairs))
        sums = np.zeros((2, len(both.pairs), BUCKETS, 3))
        sums[:, : both.sums.shape[1]] = both.sums
        for pair, row in theirs.pairs.items():
            sums[:, both.pairs[pair]] += theirs.sums[:, row]
        both.sums = sums
        return both

    def of(self, models: Iterable[str]) -> Rivals:
        """The pairs between ``models`` alone."""
        kept = set(models)
        rows = {pair: row for pair, row in self.pairs.items() if kept.issuperset(pair)}
        only = Rivals()
        only.pairs = {pair: number for number, pair in enumerate(rows)}
        only.sums, only.term = self.sums[:, list(rows.values())], self.term
        return only

    def against(self, model: str) -> list[str]:
        """Whom a model has been compared with."""
        return sorted({name for pair in self.pairs if model in pair for name in pair if name != model})

    def difference(self, model: str, rival: str, bucket: int) -> Difference | None:
        """How much worse ``model`` is than ``rival`` at a bucket of ages; None before the first case."""
        pair = (model, rival) if model < rival else (rival, model)
        if pair not in self.pairs:
            return None
        cases, total, squares = self.sums[0, self.pairs[pair], bucket].tolist()
        return Difference.of(cases, total if model < rival else -total, squares) if cases else None

    def snapshot(self) -> dict[str, Any]:
        """Plain lists that `restore` reads back, to the bit."""
        return {"pairs": [list(pair) for pair in self.pairs], "sums": self.sums.tolist(), "term": self.term}

    @classmethod
    def restore(cls, snapshot: dict[str, Any]) -> Self:
        """Read back `snapshot`; raises ValueError where it does not fit the buckets of this version."""
        rivals = cls()
        rivals.pairs = {(first, second): row for row, (first, second) in enumerate(snapshot["pairs"])}
        rivals.term = float(snapshot["term"])
        if rivals.pairs:
            rivals.sums = np.array(snapshot["sums"], np.float64)
        if rivals.sums.shape != (2, len(rivals.pairs), BUCKETS, 3):
            raise ValueError("the sums of pairs of models do not fit this version")
        return rivals


@lru_cache(maxsize=64)
def _pairs_of(
    models: tuple[str, ...], published: tuple[bool, ...]
) -> tuple[list[tuple[str, str]], list[int], list[int]]:
    """The pairs of a panel of which one at least was published, each in the order of names, and the places of both."""
    order = sorted(range(len(models)), key=models.__getitem__)
    places = [
        (first, second)
        for place, first in enumerate(order)
        for second in order[place + 1 :]
        if published[first] or published[second]
    ]
    return [(models[a], models[b]) for a, b in places], [a for a, _ in places], [b for _, b in places]
