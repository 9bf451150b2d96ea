"""What the API answers: one class an answer, from which the OpenAPI document is made as well."""

from __future__ import annotations

import msgspec


class Post(msgspec.Struct, frozen=True, kw_only=True):
    """A live post with its latest forecast. Times are event time (s), sizes are reshares."""

    cascade: str
    source: str | None
    lang: str | None
    followers: int | None
    verified: bool | None
    root_time: float
    age_seconds: float
    observed: int
    as_of: float
    model: str
    model_version: str
    horizon_seconds: float
    expected: float
    low: float
    high: float
    level: float
    growth_per_hour: float
    """Reshares expected within the hour after now."""
    alerts: list[str]
    """Rules of which an alert is open, the one opened last first."""


class Top(msgspec.Struct, frozen=True, kw_only=True):
    """The posts that lead an order, over all workers that answered."""

    sort: str
    watermark: float | None
    live_cascades: int
    workers: int
    workers_answering: int
    cascades: list[Post]


class Trajectory(msgspec.Struct, frozen=True, kw_only=True):
    """What one model expects: sizes at ages, and the interval at the horizon."""

    model: str
    model_version: str
    as_of: float
    expected: float
    low: float
    high: float
    level: float
    points: list[tuple[float, float]]


class Tree(msgspec.Struct, frozen=True, kw_only=True):
    """The earliest nodes of a cascade; a node's parent comes before it, the root has -1."""

    nodes: int
    ages: list[float]
    parents: list[int]


class AlertNote(msgspec.Struct, frozen=True, kw_only=True):
    """What was said of a post on the alerts topic."""

    rule: str
    severity: str
    state: str
    as_of: float
    age_seconds: float
    observed: int
    expected: float
    reason: str


class CascadeDetail(msgspec.Struct, frozen=True, kw_only=True):
    """All there is to show of one post."""

    cascade: str
    source: str | None
    lang: str | None
    followers: int | None
    verified: bool | None
    root_time: float
    as_of: float
    age_seconds: float
    observed: int
    horizon_seconds: float
    withdrawn: bool
    curve: list[tuple[float, int]]
    forecasts: list[Trajectory]
    alerts: list[AlertNote]
    tree: Tree


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A loaded model."""

    model: str
    version: str
    role: str


class Models(msgspec.Struct, frozen=True, kw_only=True):
    """The loaded models of the worker that answers."""

    models: list[Model]


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why there is no answer, and what to do."""

    error: str
