"""What a partition has learned: from matured cascades the offsets of intervals, weights of blends, and how the models
stand; from all that it forecast, which populations the posts of a source resemble.

It never changes.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from forecasters.blend import BlendPrior, BlendWeights, OnlineBlend
from forecasters.online_intervals import OnlineIntervals
from forecasters.platform_votes import PopulationVotes
from streams.scoring.kept import Kept, Truth, Values
from streams.scoring.standing import Standing
from streams.state.squeezing import StateError

NO_VOTES: Final[Mapping[str, float]] = {}

FORGOTTEN_AFTER_SECONDS: Final = 7 * 86_400.0
"""What was learned about a model is dropped a week after its last score: swapped versions must not pile up."""


MAX_SOURCES: Final = 64
"""Sources whose posts vote apart; those of further ones vote with those that tell no source."""


@dataclass(frozen=True, slots=True)
class Learned:
    """By ``name@version`` of each model, votes by source; holders share it, so whoever learns makes another one."""

    intervals: Mapping[str, OnlineIntervals] = field(default_factory=dict)
    blends: Mapping[str, OnlineBlend] = field(default_factory=dict)
    last_used: Mapping[str, float] = field(default_factory=dict)  # event time of the last score
    standing: Standing = field(default_factory=Standing)  # forecasts do not use it
    votes: Mapping[str, PopulationVotes] = field(default_factory=dict)
    _weights: dict[str, BlendWeights] = field(default_factory=dict, compare=False)

    def weights(self, blend: str, prior: BlendPrior) -> BlendWeights | None:
        """The weights of a blend after what was learned; None where nothing was."""
        online = self.blends.get(blend)
        if online is None or online.moments.experts != prior.moments.experts:
            return None
        if blend not in self._weights:  # solved once for each state, not for each batch
            self._weights[blend] = online.weights(prior)
        return self._weights[blend]

    def votes_of(self, source: str | None) -> Mapping[str, float]:
        """How many posts of a source resembled each population."""
        votes = self.votes.get(source or "") or self.votes.get("")
        return NO_VOTES if votes is None else votes.counts

    def after(self, truths: Sequence[Truth] = (), voters: Iterable[Kept] = ()) -> Learned:
        """What is known after more truths and votes, in their order; how they are grouped changes nothing."""
        votes = dict(self.votes)
        for voter in voters:
            source = voter.source if voter.source in votes or len(votes) < MAX_SOURCES else ""
            votes[source] = votes.get(source, PopulationVotes()).after([voter.vote])
        if not truths:
            return replace(self, votes=votes)
        intervals = {model: copy.copy(online) for model, online in self.intervals.items()}
        blends = {model: copy.copy(online) for model, online in self.blends.items()}
        last_used = dict(self.last_used)
        for model, cases in _by_model(truths).items():
            online = intervals.setdefault(model, OnlineIntervals())
            said, actual, ages = zip(*cases, strict=True)
            columns = np.array([(v.increment, v.own_low, v.own_high) for v in said]).T
            online.update(columns[0], columns[1], columns[2], np.array(actual), np.array(ages))
        for model, errors, age in _by_blend(truths):
            known = blends.get(model)
            if known is None or known.moments.experts != len(errors):
                known = blends[model] = OnlineBlend(len(errors))
            known.update(errors[None], np.array([age]))
        for truth in truths:
            last_used |= dict.fromkeys(truth.kept.panel.models, truth.kept.matures)
        newest = max(last_used.values(), default=0.0)
        used = {model for model, at in last_used.items() if newest - at <= FORGOTTEN_AFTER_SECONDS}
        return Learned(
            {model: online for model, online in intervals.items() if model in used},
            {model: online for model, online in blends.items() if model in used},
            {model: at for model, at in last_used.items() if model in used},
            self.standing.after(truths).of(used),
            votes,
        )

    def snapshot(self) -> bytes:
        """Some hundred bytes a model, a few kilobytes in all; `restore` reads it back to the bit."""
        return msgspec.msgpack.encode(
            {
                "intervals": {model: online.snapshot() for model, online in self.intervals.items()},
                "blends": {model: online.snapshot() for model, online in self.blends.items()},
                "last_used": dict(self.last_used),
                "standing": self.standing.snapshot(),
                "votes": {source: votes.counts for source, votes in self.votes.items()},
            }
        )

    @classmethod
    def restore(cls, snapshot: bytes) -> Learned:
        """Read back `snapshot`; raises StateError for what this version cannot read."""
        try:
            found: dict[str, dict[str, Any]] = msgspec.msgpack.decode(snapshot)
            return cls(
                {model: OnlineIntervals.restore(one) for model, one in found["intervals"].items()},
                {model: OnlineBlend.restore(one) for model, one in found["blends"].items()},
                {model: float(at) for model, at in found["last_used"].items()},
                Standing.restore(found["standing"]) if "standing" in found else Standing(),
                {source: PopulationVotes(counts) for source, counts in found.get("votes", {}).items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise StateError(
                f"what the stored state holds of learned weights and intervals cannot be read ({error!r}): run the "
                "version that wrote it"
            ) from None


def _by_model(truths: Sequence[Truth]) -> dict[str, list[tuple[Values, float, float]]]:
    """Each model's forecasts with truth and age, in order."""
    found: dict[str, list[tuple[Values, float, float]]] = {}
    for truth in truths:
        kept = truth.kept
        for model, said in zip(kept.panel.models, kept.said(), strict=True):
            found.setdefault(model, []).append((said, truth.growth, kept.age_seconds))
    return found


def _by_blend(truths: Sequence[Truth]) -> list[tuple[str, NDArray[np.float64], float]]:
    """Each blend's experts' errors (E,) in log2 and the age, in order."""
    found = []
    for truth in truths:
        said, panel = truth.kept.said(), truth.kept.panel
        for place, experts in panel.blends:
            increments = np.array([said[expert].increment for expert in experts])
            errors = np.log2(1.0 + truth.growth) - np.log2(1.0 + increments)
            found.append((panel.models[place], errors, truth.kept.age_seconds))
    return found
