"""What the live view knows of the posts: their latest forecasts, and how each came to where it is."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from streams.records import ForecastRecord

RECENT_SECONDS: Final = 1800.0
"""A post is forecast when something happens to it; one that half an hour of event time left alone is not rising."""

MAX_POSTS: Final = 20_000
"""Posts kept; above it those whose last forecast is oldest are forgotten."""

MAX_HISTORY: Final = 96
"""Observations kept of a post: more than a sparkline has columns; above it every second one goes."""


@dataclass(slots=True)
class Post:
    """One post by its champion's forecasts."""

    latest: ForecastRecord
    history: list[tuple[float, float]] = field(default_factory=lambda: [(0.0, 0.0)])  # (age_seconds, size)

    def update(self, record: ForecastRecord) -> None:
        """Take a newer forecast; an older one, or the same again after a worker's restart, changes nothing."""
        if self.history[-1][0] >= record.age_seconds > 0.0:
            return
        self.latest = record
        self.history.append((record.age_seconds, float(record.observed)))
        if len(self.history) > MAX_HISTORY:
            del self.history[1:-1:2]

    def age_at(self, clock: float) -> float:
        """Its age at event time ``clock``, which the latest forecast may lie behind."""
        return self.latest.age_seconds + max(0.0, clock - self.latest.as_of)


class Board:
    """The posts, ranked by how fast the champion model expects them to grow."""

    def __init__(self, champion: str) -> None:
        self.champion = champion
        self.clock = -math.inf  # event time of the latest forecast
        self.forecasts: Counter[str] = Counter()  # by model
        self._posts: dict[str, Post] = {}

    def __len__(self) -> int:
        return len(self._posts)

    def add(self, records: Iterable[ForecastRecord]) -> None:
        """Take forecasts as they come; all are counted, the champion's are shown."""
        for record in records:
            self.forecasts[record.model] += 1
            if record.model != self.champion:
                continue
            self.clock = max(self.clock, record.as_of)
            post = self._posts.get(record.cascade)
            if post is None:
                self._posts[record.cascade] = post = Post(record)
            post.update(record)
        if len(self._posts) > MAX_POSTS:
            self._forget()

    def rising(self, limit: int) -> list[Post]:
        """The posts rising fastest, fastest first; of equals the larger forecast, then the smaller id."""
        recent = [
            post
            for post in self._posts.values()
            if self.clock - post.latest.as_of <= RECENT_SECONDS
            and post.age_at(self.clock) < post.latest.horizon_seconds
        ]
        recent.sort(key=lambda post: (-post.latest.growth_per_hour, -post.latest.expected, post.latest.cascade))
        return recent[:limit]

    def _forget(self) -> None:
        """Down to nine tenths, so that not every batch pays for it."""
        by_time = sorted(self._posts, key=lambda cascade: self._posts[cascade].latest.as_of)
        for cascade in by_time[: len(by_time) - MAX_POSTS * 9 // 10]:
            del self._posts[cascade]
