"""What the stream has shown of the people: how much their own posts were reshared, and how much they reshare.

Every number is as of a moment of event time and counts only what happened before it, in all posts that are known, the
same ones a worker that sees the whole stream would have counted by then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from forecasters.alerting.growth_curves import GrowthCurves, Ints

Floats = NDArray[np.float64]
Users = NDArray[np.uint64]

DAY_SECONDS: Final = 86_400.0


@dataclass(frozen=True, slots=True, eq=False)
class UserEvents:
    """Events by user and time; counts those of any user before any moment."""

    users: Users  # (U,) ascending, all users there are
    moments: Floats  # (M,) ascending, all times there are
    keys: Ints  # ascending: user's place x (M + 1) + moment's place

    @classmethod
    def of(cls, users: Users, times: Floats) -> Self:
        """Of events by known users; an event of user 0 is nobody's and left out."""
        known = users != 0
        names, who = np.unique(users[known], return_inverse=True)
        moments, when = np.unique(times[known], return_inverse=True)
        return cls(names, moments, np.sort(who * (len(moments) + 1) + when))

    def before(self, users: Users, times: Floats) -> Ints:
        """How many events each of users (B,) had before times (B,); 0 for one who is not known."""
        if not len(self.users):
            return np.zeros(len(users), dtype=np.int64)
        who = np.minimum(np.searchsorted(self.users, users), len(self.users) - 1)
        first = who * (len(self.moments) + 1)
        past = np.searchsorted(self.keys, first + np.searchsorted(self.moments, times, side="left"), side="left")
        return np.where(self.users[who] == users, past - np.searchsorted(self.keys, first, side="left"), 0)


@dataclass(frozen=True, slots=True, eq=False)
class Audience:
    """The people of some posts, and running sums of their weight over each post's reshares."""

    received: UserEvents  # reshares of a user's own posts
    posted: UserEvents
    reshared: UserEvents
    reach: Floats  # (E + 1,) sum of what resharers had received by then
    log_reach: Floats  # (E + 1,) sum of its logarithms
    activity: Floats  # (E + 1,) sum of the log counts of what they had reshared by then
    distinct: Floats  # (E + 1,) reshares by somebody new to the post

    @classmethod
    def of(cls, curves: GrowthCurves) -> Self:
        """Of all posts in ``curves``."""
        times = curves.root_times[curves.posts] + curves.ages
        real = curves.steps > 0
        authors = curves.root_users[curves.posts]
        received = UserEvents.of(authors[real], times[real])
        reshared = UserEvents.of(curves.users[real], times[real])
        reached = received.before(curves.users, times).astype(np.float64)
        busy = np.log1p(reshared.before(curves.users, times))
        return cls(
            received,
            UserEvents.of(curves.root_users, curves.root_times),
            reshared,
            _running(reached * curves.steps),
            _running(np.log1p(reached) * curves.steps),
            _running(busy * curves.steps),
            newcomers(curves),
        )


def newcomers(curves: GrowthCurves) -> Floats:
    """How many of the changes before each place, (E + 1,), were by somebody new to the post."""
    names, who = np.unique(curves.users, return_inverse=True)
    _, first = np.unique(curves.posts * len(names) + who, return_index=True)
    new = np.zeros(len(curves.users))
    new[first] = 1.0
    return _running(new)


def _running(values: Floats) -> Floats:
    """Sums before each place, (E + 1,)."""
    return np.concatenate([[0.0], np.cumsum(values)])
