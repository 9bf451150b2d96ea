"""What training posts tell of users: how large the posts that one writes become, and those that one reshares.

A mean over one's training posts, drawn to the mean of all where they are few. A training post may not learn from
itself: its own features are taken from tables of the other folds (contiguous in time, since posts of one hour share a
subject).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from forecasters.alerting.growth_curves import GrowthCurves, Ints

Floats = NDArray[np.float64]
Users = NDArray[np.uint64]

FOLDS: Final = 5
PRIOR_POSTS: Final = 3.0
"""So many posts of the mean size stand beside each user's own."""
LEAST_RESHARES: Final = 2
"""Of one who reshared once, the prior says three quarters anyway; and most users of a large file reshare once."""

GRAIN: Final = 2.0**-20
"""What is summed over reshares is a multiple of it: then sums are exact, and neither the order of equal times nor the
other posts of a file or of a worker change a bit.
"""

EFFECT_NAMES: Final = ("author_effect", "author_log_known", "author_reshare_effect", "effect", "log_known")


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """The mean effect of users (U,), ascending by their hash, and how many posts it is the mean of."""

    users: Users
    effects: Floats
    posts: Floats

    @classmethod
    def of(cls, users: Users, values: Floats, least: int) -> Self:
        """Of ``values`` (n,) seen with ``users`` (n,), less their mean; user 0 is nobody."""
        known = users != 0
        names, who, times = np.unique(users[known], return_inverse=True, return_counts=True)
        about = values[known] - (values[known].mean() if known.any() else 0.0)
        effects = np.bincount(who, about, minlength=len(names)) / (times + PRIOR_POSTS)
        kept = times >= least
        return cls(names[kept], effects[kept], times[kept].astype(np.float64))

    def look_up(self, users: Users) -> tuple[Floats, Floats]:
        """Effects and log counts of users (B,); zeros for one who is not known."""
        if not len(self.users):
            return np.zeros(len(users)), np.zeros(len(users))
        at = np.minimum(np.searchsorted(self.users, users), len(self.users) - 1)
        known = self.users[at] == users
        return np.where(known, self.effects[at], 0.0), np.where(known, np.log1p(self.posts[at]), 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class UserEffects:
    """The two tables, of writing and of resharing."""

    authors: Table
    resharers: Table

    @classmethod
    def of(cls, curves: GrowthCurves, posts: Ints) -> Self:
        """Learned from ``posts``."""
        logs = np.log1p(curves.finals())
        chosen = np.zeros(len(curves), dtype=bool)
        chosen[posts] = True
        events = chosen[curves.posts] & (curves.steps > 0)
        return cls(
            Table.of(curves.root_users[posts], logs[posts], 1),
            Table.of(curves.users[events], logs[curves.posts[events]], LEAST_RESHARES),
        )

    def features(self, curves: GrowthCurves, posts: Ints, ages: Floats) -> Floats:
        """The columns `EFFECT_NAMES` (B, 5) of posts at ages: of the author, and the means over its reshares so far."""
        effect, known = self.resharers.look_up(curves.users)
        places, starts = curves.places(posts, ages), curves.starts[posts]
        some = np.maximum(curves.counts(posts, ages), 0) + 1.0
        means = []
        for values in (effect, known):
            running = np.concatenate([[0.0], np.cumsum(np.round(values / GRAIN) * GRAIN * curves.steps)])
            means.append((running[places] - running[starts]) / some)
        authors = curves.root_users[posts]
        return np.column_stack([*self.authors.look_up(authors), self.resharers.look_up(authors)[0], *means])

    def tensors(self) -> dict[str, NDArray[Any]]:
        """What model.safetensors keeps."""
        return {
            f"{name}.{column}": getattr(table, column)
            for name, table in (("authors", self.authors), ("resharers", self.resharers))
            for column in ("users", "effects", "posts")
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]]) -> Self:
        """Read back `tensors`; raises `KeyError` for a missing one, `ValueError` for columns of unlike lengths."""
        tables = []
        for name in ("authors", "resharers"):
            table = Table(*(tensors[f"{name}.{column}"] for column in ("users", "effects", "posts")))
            if not len(table.users) == len(table.effects) == len(table.posts):
                raise ValueError(f"the columns of the {name} are of unlike lengths")
            tables.append(table)
        return cls(*tables)


def out_of_fold_features(curves: GrowthCurves, posts: Ints, rows: Ints, ages: Floats) -> Floats:
    """The effect columns (B, 5) of training ``rows`` (B,), each from the ``posts`` of the other folds."""
    fold = np.full(len(curves), -1)
    fold[np.sort(posts)] = np.arange(len(posts)) * FOLDS // len(posts)
    found = np.zeros((len(rows), len(EFFECT_NAMES)))
    for own in range(FOLDS):
        mine = fold[rows] == own
        if mine.any():
            others = UserEffects.of(curves, posts[fold[posts] != own])
            found[mine] = others.features(curves, rows[mine], ages[mine])
    return found
