"""The growth of many posts at once, as flat arrays: any post's size at any age by one binary search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from forecasters.dataset import DatasetError
from forecasters.labels import label_of
from graph import Cascade
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
        starts = np.concatenate([[0], np.cumsum([len(part) for part in ages])]).astype(np.int64)
        posts = np.repeat(np.arange(len(ordered)), np.diff(starts))
        flat_ages = np.concatenate([np.zeros(0), *ages])
        flat_steps = np.concatenate([np.zeros(0, np.int64), *steps])
        return cls(
            ids=tuple(cascade.id for cascade in ordered),
            horizon_seconds=horizon_seconds,
            root_times=np.array([cascade.root_time for cascade in ordered]),
            root_users=np.array([_root_user(cascade) for cascade in ordered], dtype=np.uint64),
            root_followers=_known([cascade.root_followers for cascade in ordered]),
            root_verified=_known([cascade.root_verified for cascade in ordered]),
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
