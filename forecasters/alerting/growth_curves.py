"""The growth of many posts at once, as flat arrays: any post's size at any age by one binary search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from forecasters.dataset import DatasetError
from forecasters.labels import label_of
from graph import Cascade, CascadeView
from graph.changes import size_changes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class GrowthCurves:
    """N posts in order of root time, then id, with their E changes of size at ages below the horizon.

    A question is a post (its place among the N) and an age; what happened *before* that age is known, as in
    `forecasters.dataset.cut`. All answers are functions of that alone.
    """

    ids: tuple[str, ...]
    horizon_seconds: float
    root_times: Floats  # (N,)
    root_users: NDArray[np.uint64]  # (N,) 0 where unknown
    root_followers: Floats  # (N,) NaN where unknown
    root_verified: Floats  # (N,) NaN where unknown
    starts: Ints  # (N + 1,) where each post's changes begin
    ages: Floats  # (E,) ascending within a post
    steps: Ints  # (E,) 1, or -1 for a reshare taken back
    users: NDArray[np.uint64]  # (E,)
    direct: NDArray[np.bool_]  # (E,)
    sizes: Ints  # (E + 1,) the sum of the steps before each place
    posts: Ints  # (E,) whose change it is
    keys: Floats  # (E,) post and age in one ascending number

    @classmethod
    def of(
        cls, cascades: Sequence[Cascade], horizon_seconds: float, *, progress: Callable[[float], None] | None = None
    ) -> Self:
        """The curves of whole cascades; ``progress`` is called with the share that is done.

        Raises `DatasetError` for a cascade whose events end before the horizon.
        """
        ordered = sorted(cascades, key=lambda cascade: (cascade.root_time, cascade.id))
        ages, steps, users, direct = [], [], [], []
        for done, cascade in enumerate(ordered):
            if (label := label_of(cascade)) is not None and label.observed_seconds < horizon_seconds:
                raise DatasetError(
                    f"{cascade.id}: its events end at {label.observed_seconds / 3600:g} h, before the horizon of "
                    f"{horizon_seconds / 3600:g} h; alerts are judged on whole cascades, give a file that has them"
                )
            changes = size_changes(cascade)
            # An event before its root has age 0.
            age = np.maximum(changes.times - cascade.root_time, 0.0)
            kept = int(np.searchsorted(age, horizon_seconds, side="left"))
            ages.append(age[:kept])
            steps.append(changes.steps[:kept])
            users.append(changes.users[:kept])
            direct.append(changes.direct[:kept])
            if progress is not None and not done % 1024:
                progress(done / len(ordered))
        return cls._joined(
            tuple(cascade.id for cascade in ordered),
            horizon_seconds,
            np.array([cascade.root_time for cascade in ordered]),
            np.array([_root_user(cascade) for cascade in ordered], dtype=np.uint64),
            _known([cascade.root_followers for cascade in ordered]),
            _known([cascade.root_verified for cascade in ordered]),
            (ages, steps, users, direct),
        )

    @classmethod
    def of_views(cls, views: Sequence[CascadeView], horizon_seconds: float) -> Self:
        """The curves as far as views show them, in the order of the views: what a live post is asked about.

        They are those of the whole cascades up to there, but for a reshare that was taken back: a view does not know
        that it ever was.
        """
        ages, steps, users, direct = [], [], [], []
        for view in views:
            reshared = view.reshares
            counted = np.repeat(view.binned_ages, view.binned_counts)
            age = np.concatenate([view.ages[reshared], counted])
            order = np.argsort(age, kind="stable")
            ages.append(age[order])
            steps.append(np.ones(len(age), np.int64))
            users.append(np.concatenate([view.users[reshared], np.zeros(len(counted), np.uint64)])[order])
            direct.append(np.concatenate([view.parents[reshared] == 0, np.ones(len(counted), np.bool_)])[order])
        return cls._joined(
            tuple(view.cascade for view in views),
            horizon_seconds,
            np.array([view.root_time for view in views]),
            np.array([view.users[0] for view in views], dtype=np.uint64),
            _known([view.root_followers for view in views]),
            _known([view.root_verified for view in views]),
            (ages, steps, users, direct),
        )

    @classmethod
    def _joined(
        cls,
        ids: tuple[str, ...],
        horizon_seconds: float,
        root_times: Floats,
        root_users: NDArray[np.uint64],
        root_followers: Floats,
        root_verified: Floats,
        changes: tuple[list[Floats], list[Ints], list[NDArray[np.uint64]], list[NDArray[np.bool_]]],
    ) -> Self:
        """``changes`` are ages, steps, users and directness of each post's changes."""
        ages, steps, users, direct = changes
        starts = np.concatenate([[0], np.cumsum([len(part) for part in ages])]).astype(np.int64)
        posts = np.repeat(np.arange(len(ids)), np.diff(starts))
        flat_ages = np.concatenate([np.zeros(0), *ages])
        flat_steps = np.concatenate([np.zeros(0, np.int64), *steps])
        return cls(
            ids=ids,
            horizon_seconds=horizon_seconds,
            root_times=root_times,
            root_users=root_users,
            root_followers=root_followers,
            root_verified=root_verified,
            starts=starts,
            ages=flat_ages,
            steps=flat_steps,
            users=np.concatenate([np.zeros(0, np.uint64), *users]),
            direct=np.concatenate([np.zeros(0, np.bool_), *direct]),
            sizes=np.concatenate([[0], np.cumsum(flat_steps)]).astype(np.int64),
            posts=posts,
            keys=posts * _span(horizon_seconds) + flat_ages,
        )

    def __len__(self) -> int:
        return len(self.ids)

    def places(self, posts: Ints, ages: ArrayLike) -> Ints:
        """Places (B,) in the flat arrays just after the last change of each post before each age (s), in [0, E]."""
        inside = np.clip(np.asarray(ages, dtype=np.float64), 0.0, self.horizon_seconds)
        return np.searchsorted(self.keys, posts * _span(self.horizon_seconds) + inside, side="left")

    def counts(self, posts: Ints, ages: ArrayLike) -> Ints:
        """Sizes (B,) of posts at ages (s)."""
        return self.sizes[self.places(posts, ages)] - self.sizes[self.starts[posts]]

    def finals(self) -> Ints:
        """Sizes (N,) at the horizon."""
        return self.counts(np.arange(len(self)), self.horizon_seconds)


def _span(horizon_seconds: float) -> float:
    """How far apart the keys of two posts lie: a power of two, so that whole seconds stay exact."""
    return float(2.0 ** np.ceil(np.log2(horizon_seconds + 1.0)))


def _root_user(cascade: Cascade) -> int:
    return int(cascade.view(cascade.root_time).users[0])


def _known(values: Sequence[float | None]) -> Floats:
    return np.array([np.nan if value is None else float(value) for value in values], dtype=np.float64)
