"""What rules look at: one forecast of a post, the post as it stood, and how it ranks among others of its source."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Final, Self

import numpy as np

from graph import CascadeView
from streams.alerts.histograms import Ranks
from streams.alerts.likelihood import probability_of_reaching
from streams.alerts.ranking import RuleRanker
from streams.records import ForecastRecord

RATE_SECONDS: Final = 3600.0
"""Over which the observed rate is taken, or over the post's life where it is shorter."""

SHORTEST_RATE_SECONDS: Final = 60.0
"""Three reshares in the first second are no rate of ten thousand an hour."""

YOUNGEST_RANKED_SECONDS: Final = 120.0
"""The ranker has seen no younger posts."""


class Quantity(StrEnum):
    """What a condition bounds."""

    EXPECTED = "expected"
    LOW = "low"
    PROBABILITY = "probability"
    TOP_PROBABILITY = "top_probability"
    TOP_SHARE = "top_share"
    GROWTH = "growth_per_hour"
    RATE = "observed_per_hour"
    ACCELERATION = "acceleration"
    IMPORTANCE = "importance"
    FOLLOWERS = "followers"
    OBSERVED = "observed"
    AGE = "age"

    def words(self, bound: float, level: float, *, at_most: bool) -> str:
        """A bound on it, in words."""
        if self is Quantity.PROBABILITY:
            return f"probability of reaching {level:,g} at least {bound:.3g}"
        if self is Quantity.TOP_PROBABILITY:
            return f"probability of ending among the top {100 * level:.3g} % at least {bound:.3g}"
        if self is Quantity.TOP_SHARE:
            return f"among the top {100 * bound:.3g} % of its source"
        unit = " minutes" if self is Quantity.AGE else ""
        shown = bound / 60.0 if self is Quantity.AGE else bound
        return f"{_NAMES[self]} at {'most' if at_most else 'least'} {shown:,.6g}{unit}"


_NAMES: Final = {
    Quantity.EXPECTED: "expected size",
    Quantity.LOW: "lower bound",
    Quantity.GROWTH: "growth expected in the next hour",
    Quantity.RATE: "reshares an hour observed",
    Quantity.ACCELERATION: "acceleration",
    Quantity.IMPORTANCE: "importance",
    Quantity.FOLLOWERS: "followers of the author",
    Quantity.OBSERVED: "observed size",
    Quantity.AGE: "age",
}


def importance_of(forecast: ForecastRecord) -> float:
    """How much a forecast matters, in octaves: the mean of those of the expected size and of what is still to come.

    A post that will be large and has hardly begun comes before one as large that is nearly over. A rule adds three
    octaves for each step of its severity above ``info``.
    """
    to_come = max(0.0, forecast.expected - forecast.observed)
    return 0.5 * (math.log2(1.0 + forecast.expected) + math.log2(1.0 + to_come))


OF_POST: Final = frozenset({Quantity.OBSERVED, Quantity.AGE, Quantity.FOLLOWERS, Quantity.RATE, Quantity.ACCELERATION})
"""What a post shows whatever is forecast of it."""


class Post:
    """A post as it stood: what conditions may ask of it before there is a forecast."""

    __slots__ = ("age_seconds", "view")

    def __init__(self, view: CascadeView, age_seconds: float) -> None:
        """``age_seconds``: as a forecast of the view tells it."""
        self.view = view
        self.age_seconds = age_seconds

    @classmethod
    def at(cls, view: CascadeView, as_of: float) -> Self:
        """As of the time of its view."""
        return cls(view, round(as_of - view.root_time, 3))

    def value(self, quantity: Quantity) -> float:
        """One of `OF_POST`; NaN where it is not known, and for any other."""
        match quantity:
            case Quantity.OBSERVED:
                return float(self.view.size)
            case Quantity.AGE:
                return self.age_seconds
            case Quantity.FOLLOWERS:
                known = self.view.root_followers
                return math.nan if known is None else float(known)
            case Quantity.RATE:
                return self._observed_per_hour()
            case Quantity.ACCELERATION:
                return self._acceleration()
        return math.nan

    def _since(self, age: float) -> int:
        """Reshares of ages beyond ``age``."""
        ages = self.view.reshare_ages
        kept = len(ages) - int(ages.searchsorted(age, side="right"))
        if not self.view.binned:
            return kept
        return kept + self.view.binned - int(self.view.binned_until(np.array(age)))

    def _observed_per_hour(self) -> float:
        span = max(min(RATE_SECONDS, self.age_seconds), SHORTEST_RATE_SECONDS)
        return self._since(self.age_seconds - span) * 3600.0 / span

    def _acceleration(self) -> float:
        """Reshares of the latter half of the last hour (of the post's life where it is shorter) over those of the
        half before; one is added to both, so that few reshares tell little."""
        half = min(RATE_SECONDS, self.age_seconds) / 2.0
        latter = self._since(self.age_seconds - half)
        both = self._since(self.age_seconds - 2.0 * half)
        return (1.0 + latter) / (1.0 + both - latter)


class Moment:
    """One forecast, with all that conditions may ask."""

    __slots__ = ("_minimum", "_post", "_ranker", "_ranks", "_score", "forecast", "view")

    def __init__(
        self, forecast: ForecastRecord, view: CascadeView, ranks: Ranks, minimum: int, ranker: RuleRanker | None = None
    ) -> None:
        """``ranks`` of a source count from ``minimum`` members on; without ``ranker`` its probability is not known."""
        self.forecast = forecast
        self.view = view
        self._ranks = ranks
        self._minimum = minimum
        self._ranker = ranker
        self._score: float | None = None
        self._post = Post(view, forecast.age_seconds)

    def value(self, quantity: Quantity, level: float) -> float:
        """A quantity; NaN where it is not known."""
        forecast = self.forecast
        match quantity:
            case Quantity.EXPECTED:
                return forecast.expected
            case Quantity.LOW:
                return forecast.low
            case Quantity.PROBABILITY:
                return probability_of_reaching(level, forecast)
            case Quantity.TOP_PROBABILITY:
                return self._top_probability(level)
            case Quantity.TOP_SHARE:
                return self._top_share()
            case Quantity.GROWTH:
                return forecast.growth_per_hour
            case Quantity.IMPORTANCE:
                return importance_of(forecast)
            case Quantity.OBSERVED:
                return float(forecast.observed)
            case _:
                return self._post.value(quantity)

    def _top_probability(self, share: float) -> float:
        if self._ranker is None or self.view.age_seconds < YOUNGEST_RANKED_SECONDS:
            return math.nan
        model = self._ranker.model
        if self._score is None:  # the same for every share that rules ask for
            self._score = model.score_of_view(self.view)
        return model.chance_of_view(self.view, self._score, share)

    def _top_share(self) -> float:
        source = self.view.root_source or ""
        if self._ranks.total(source) < self._minimum:
            return math.nan
        return self._ranks.share_at_least(source, self.forecast.expected)
