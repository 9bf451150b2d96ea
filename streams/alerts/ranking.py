"""The ranker that rules ask: a stored one, and what it says of one post."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from graph import CascadeView


class ViewRanker(Protocol):
    """What rules need of a ranker: numbers that a post alone decides, whatever else a worker knows."""

    def score_of_view(self, view: CascadeView) -> float:
        """How a post stands."""

    def chance_of_view(self, view: CascadeView, score: float, share: float) -> float:
        """Its chance of ending in the top share, from its score."""


@dataclass(frozen=True, slots=True)
class RuleRanker:
    """One version of a ranker. Its ``key``, name@version, tells it from others."""

    key: str
    horizon_seconds: float
    shares: tuple[float, ...]
    model: ViewRanker = field(compare=False, repr=False)


def stored_ranker(spec: str, models_dir: Path | None = None) -> RuleRanker:
    """The stored ranker that a file of rules names, of the user's store unless told otherwise.

    Raises `ModelStoreError` where there is none, or one that needs more than a worker sees.
    """
    # imported where rules ask for a ranker only: checking other rules takes no time
    from forecasters.alerting.stored import find_ranker

    found = find_ranker(spec, models_dir)
    return _loaded(found.directory, found.version)


@lru_cache(maxsize=4)
def _loaded(directory: Path, version: str) -> RuleRanker:
    """A version never changes, and a worker looks at its rules every few seconds."""
    from forecasters.alerting.ranker import AlertRanker
    from forecasters.errors import ModelStoreError

    ranker = AlertRanker.load(directory)
    ranker.version = version
    if ranker.reads_stream:
        raise ModelStoreError(
            f"{ranker.key} reads all posts of a stream, of which a worker sees a part; 'cascadecast train ranker' "
            "makes one that does not"
        )
    return RuleRanker(ranker.key, ranker.horizon_seconds, ranker.shares, ranker)
