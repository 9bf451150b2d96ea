"""What one worker knows of its own cascades, as the API tells it."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Final

import numpy as np

from graph import Cascade, CascadeView
from streams.alerts.records import AlertRecord
from streams.engine.partition import Partition
from streams.kafka.partitioner import partition_of
from streams.records import ForecastRecord
from streams.web.answers import AlertNote, CascadeDetail, Model, Models, Post, Top, Trajectory, Tree
from streams.web.board import growth_per_hour
from streams.worker.core import WorkerCore

CURVE_POINTS: Final = 240
"""More than a chart has room for."""

TREE_NODES: Final = 400
"""What a small drawing can show."""


class Sort(StrEnum):
    """Orders of the top list."""

    RISING = "rising"
    EXPECTED = "expected"
    OBSERVED = "observed"


_KEYS: Final[Mapping[Sort, Callable[[Post], float]]] = {
    Sort.RISING: lambda post: post.growth_per_hour,
    Sort.EXPECTED: lambda post: post.expected,
    Sort.OBSERVED: lambda post: float(post.observed),
}


def leading(posts: list[Post], sort: Sort, limit: int) -> list[Post]:
    """The first ``limit`` posts of an order; equal ones by id."""
    key = _KEYS[sort]
    return heapq.nsmallest(limit, posts, key=lambda post: (-key(post), post.cascade))


class LiveReader:
    """Reads a worker's state between two of its steps; changes nothing."""

    def __init__(self, core: WorkerCore, partitions: int, horizon_seconds: float) -> None:
        self._core = core
        self._partitions = partitions
        self._horizon = horizon_seconds

    def partition_number(self, cascade_id: str) -> int:
        """Where a cascade lies, if its producer parts as Kafka's own clients do."""
        return partition_of(cascade_id, self._partitions)

    def owns(self, cascade_id: str) -> bool:
        """Whether the cascade lives in this worker, or would if it lived."""
        return self.partition_number(cascade_id) in self._core.assigned or self._partition(cascade_id) is not None

    def _partition(self, cascade_id: str) -> Partition | None:
        """The one it lives in: where it belongs, else where another producer's way to part has brought it."""
        assigned = self._core.assigned
        own = assigned.get(self.partition_number(cascade_id))
        places = [own, *assigned.values()] if own is not None else assigned.values()
        return next((one.partition for one in places if one is not None and cascade_id in one.partition.store), None)

    def top(self, sort: Sort, limit: int, source: str | None) -> Top:
        """The leaders among this worker's posts."""
        order = [model["model"] for model in self._core.models()]
        posts = []
        for cascade_id, forecasts in self._core.board.live():
            partition = self._partition(cascade_id)
            cascade = partition.store.get(cascade_id) if partition is not None else None
            if partition is None or cascade is None or (source is not None and cascade.root_source != source):
                continue
            now = _now(partition, cascade)
            if now < cascade.withdrawn_at and now - cascade.root_time < self._horizon:
                posts.append(self._post(cascade, now, _speaker(forecasts, order)))
        assigned = self._core.assigned.values()
        watermark = max((one.partition.watermark.value for one in assigned), default=-math.inf)
        return Top(
            sort=sort.value,
            watermark=watermark if math.isfinite(watermark) else None,
            live_cascades=sum(len(one.partition.store) for one in assigned),
            workers=1,
            workers_answering=1,
            cascades=leading(posts, sort, limit),
        )

    def _post(self, cascade: Cascade, now: float, forecast: ForecastRecord) -> Post:
        age = now - cascade.root_time
        return Post(
            cascade=cascade.id,
            source=cascade.root_source,
            lang=cascade.root_lang,
            followers=cascade.root_followers,
            verified=cascade.root_verified,
            root_time=cascade.root_time,
            age_seconds=round(age, 3),
            observed=cascade.size,
            as_of=forecast.as_of,
            model=forecast.model,
            model_version=forecast.model_version,
            horizon_seconds=forecast.horizon_seconds,
            expected=forecast.expected,
            low=forecast.low,
            high=forecast.high,
            level=forecast.level,
            growth_per_hour=round(growth_per_hour(forecast, age), 3),
            alerts=self._core.alert_history.open_rules(cascade.id),
        )

    async def cascade(self, cascade_id: str) -> CascadeDetail | None:
        """All there is of a live post of ours, None if there is none. Forecasts that are not in memory are made."""
        partition = self._partition(cascade_id)
        cascade = partition.store.get(cascade_id) if partition is not None else None
        if partition is None or cascade is None:
            return None
        as_of = _now(partition, cascade)
        view = cascade.view(as_of)
        forecasts = list(self._core.board.of(cascade_id).values())
        if not forecasts and cascade.size and view.age_seconds < self._horizon and as_of < cascade.withdrawn_at:
            forecasts = await self._core.forecast_now(partition, view, as_of)
        place = {model["model"]: number for number, model in enumerate(self._core.models())}
        return CascadeDetail(
            cascade=cascade_id,
            source=view.root_source,
            lang=view.root_lang,
            followers=view.root_followers,
            verified=view.root_verified,
            root_time=view.root_time,
            as_of=as_of,
            age_seconds=round(view.age_seconds, 3),
            observed=view.size,
            horizon_seconds=self._horizon,
            withdrawn=as_of >= cascade.withdrawn_at,
            curve=curve_of(view),
            forecasts=[_trajectory(one) for one in sorted(forecasts, key=lambda one: place.get(one.model, len(place)))],
            alerts=[_note(record) for record in self._core.alert_history.of(cascade_id)],
            tree=tree_of(view),
        )

    def models(self) -> Models:
        """The loaded models."""
        return Models(models=[Model(**model) for model in self._core.models()])


def _now(partition: Partition, cascade: Cascade) -> float:
    """The time of the post's last event where it may be believed, else of the partition."""
    return max(partition.watermark.value, min(cascade.last_time, partition.watermark.believed_until))


def _speaker(forecasts: Mapping[str, ForecastRecord], order: Sequence[str]) -> ForecastRecord:
    """The forecast of whichever model the settings name first."""
    for model in order:
        if (found := forecasts.get(model)) is not None:
            return found
    return next(iter(forecasts.values()))


def _trajectory(record: ForecastRecord) -> Trajectory:
    return Trajectory(
        model=record.model,
        model_version=record.model_version,
        as_of=record.as_of,
        expected=record.expected,
        low=record.low,
        high=record.high,
        level=record.level,
        points=record.trajectory,
    )


def _note(record: AlertRecord) -> AlertNote:
    return AlertNote(
        rule=record.rule,
        severity=record.severity.value,
        state=record.state.value,
        as_of=record.as_of,
        age_seconds=record.age_seconds,
        observed=record.observed,
        expected=record.expected,
        reason=record.reason,
    )


def curve_of(view: CascadeView) -> list[tuple[float, int]]:
    """(age in s, size): how the post has grown, from nothing to now, in at most `CURVE_POINTS` points."""
    ages = np.concatenate([view.reshare_ages, np.repeat(view.binned_ages, view.binned_counts)])
    ages.sort()
    wanted = np.linspace(0, len(ages) - 1, CURVE_POINTS - 2).round() if len(ages) else np.empty(0)
    shown = np.unique(wanted.astype(int))
    points = [(0.0, 0)] + [(round(float(ages[place]), 3), int(place) + 1) for place in shown]
    return [*points, (round(view.age_seconds, 3), view.size)]


def tree_of(view: CascadeView) -> Tree:
    """The earliest nodes. In a view parents come before their children but for clocks that lie: such a child is hung on
    the root."""
    number = min(len(view), TREE_NODES)
    parents = [int(parent) if parent < place else 0 for place, parent in enumerate(view.parents[:number])]
    ages = [round(float(age), 3) for age in view.ages[:number]]
    return Tree(nodes=len(view) + view.binned, ages=ages, parents=parents)
