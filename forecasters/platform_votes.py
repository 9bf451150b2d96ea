"""What the posts of a stream resemble: by the earlier ones a forecaster knows which population to expect of the next.

Each post votes for the population that it resembles most by itself, as `Forecaster.votes` says; no truth is needed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final, Self

from forecasters.base import Case, Example, Forecaster
from forecasters.labels import population_of

MEMORY_VOTES: Final = 800.0
"""A vote counts 1/e after so many more, as long as a score does for a blend: a topic may change its platform."""

UNSURE: Final = 0.1
"""Share of a post that is spread evenly where a stream's posts say which population to expect: a gate errs on about one
post in a hundred, and then as surely as ever. With 0 the prior mends half of these errors, with 0.1 nearly all."""

VOTING_BATCH: Final = 256


@dataclass(frozen=True, slots=True)
class PopulationVotes:
    """Votes by population. It never changes; whoever learns makes another one.

    >>> dict(PopulationVotes().after(["weibo", "weibo"]).counts)
    {'weibo': 1.9987507809245808}
    """

    counts: Mapping[str, float] = field(default_factory=dict)

    def after(self, names: Iterable[str]) -> Self:
        """One vote after another, each making those before it fade; the same however they are grouped."""
        counts = dict(self.counts)
        keep = math.exp(-1.0 / MEMORY_VOTES)
        for name in names:
            counts = {known: count * keep for known, count in counts.items()}
            counts[name] = counts.get(name, 0.0) + 1.0
        return type(self)(counts)


def expected_shares(alone: Any, votes: Any) -> Any:
    """Bayes, from even odds on: the shares (B, D) that posts have of populations by themselves, after votes (B, D).

    Arrays or tensors, whose arithmetic is the same. Shares are of a gate that was trained on as many posts of each
    population, so the prior multiplies them. A post whose stream has shown nothing yet is told by itself alone, to the
    bit.
    """
    D = alone.shape[1]
    cast = votes.sum(1)[:, None]
    doubted = alone + UNSURE * cast / (cast + D) * (1.0 / D - alone)
    together = doubted * (votes + 1.0)  # as if each population had been met once before
    known = together / together.sum(1)[:, None]
    return alone + (known - alone) * (cast > 0.0)


def examples_in_turn(forecaster: Forecaster, cases: Sequence[Case], *, alone: bool = False) -> list[Example]:
    """The examples of the ``cases``, each with the votes of those of its file whose ``as_of`` is before its own.

    A file is a stream, whose worker learns what its posts resemble as it goes: so this is how it sees them. ``alone``:
    without votes, each as the first post of its stream.
    """
    examples = [forecaster.prepare(case.graph, case.as_of, case.horizon_seconds) for case in cases]
    names = None if alone else forecaster.votes(examples)
    if names is None:
        return examples
    files = [population_of(case.graph) for case in cases]
    votes = dict.fromkeys(files, PopulationVotes())
    order = sorted(range(len(examples)), key=lambda place: (files[place], examples[place].as_of))
    for (file, _), group in groupby(order, key=lambda place: (files[place], examples[place].as_of)):
        at_once = list(group)
        for place in at_once:
            examples[place] = forecaster.in_stream(examples[place], votes[file].counts)
        votes[file] = votes[file].after(sorted(names[place] for place in at_once))
    return examples


def votes_by_file(forecaster: Forecaster, cases: Sequence[Case]) -> dict[str, PopulationVotes]:
    """The votes of all ``cases``, by the population that their cascades are of: each file is a stream of its own."""
    found: dict[str, PopulationVotes] = {}
    if not forecaster.tells_populations:
        return found
    for first in range(0, len(cases), VOTING_BATCH):
        some = cases[first : first + VOTING_BATCH]
        names = forecaster.votes([forecaster.prepare(case.graph, case.as_of, case.horizon_seconds) for case in some])
        for case, name in zip(some, names or (), strict=True):
            own = population_of(case.graph)
            found[own] = found.get(own, PopulationVotes()).after([name])
    return found
