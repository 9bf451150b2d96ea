"""A vector for every user who was seen in several cascades: the global half of ConCat's and CasFT's event features.

The papers embed the graph of all users by NetSMF; in its place stands `forecasters.prone`. Two things differ from the
published use, for the sake of a stream. The graph is of training edges only, so a user first met later has the zero
vector. And users of a single training cascade are left out: their vector would only say which cascade that was, which
unseen cascades cannot have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from forecasters.base import Case

Hashes = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class UserEmbedding:
    """``users`` (U,) sorted hashes, ``vectors`` (U, g) of about unit length."""

    users: Hashes
    vectors: NDArray[np.float32]

    @property
    def width(self) -> int:
        """Length of a vector."""
        return int(self.vectors.shape[1])

    def of(self, users: Hashes) -> NDArray[np.float32]:
        """The vectors (n, g) of users (n,); zeros for one that is not known."""
        if len(self.users) == 0:
            return np.zeros((len(users), self.width), dtype=np.float32)
        place = np.minimum(np.searchsorted(self.users, users), len(self.users) - 1)
        known = self.users[place] == users
        return np.where(known[:, None], self.vectors[place], np.float32(0.0))

    @classmethod
    def fit(cls, train: Sequence[Case], width: int, *, seed: int = 0) -> Self:
        """From who reshared whom in the observed part of the training cases."""
        users, edges = _edges(train)
        if len(users) <= width:
            return cls(np.zeros(0, dtype=np.uint64), np.zeros((0, width), dtype=np.float32))
        from forecasters.prone import adjacency, prone  # needed in training only, and scipy weighs on a worker

        return cls(users, prone(adjacency(edges, len(users)), width, seed).astype(np.float32))

    def tensors(self) -> dict[str, NDArray[Any]]:
        """What model.safetensors keeps of it."""
        return {"users.hashes": self.users, "users.vectors": self.vectors}

    @classmethod
    def from_tensors(cls, tensors: dict[str, NDArray[Any]]) -> Self:
        """Read back `tensors`; raises `KeyError` for a missing one."""
        return cls(tensors["users.hashes"], tensors["users.vectors"])


def _edges(train: Sequence[Case]) -> tuple[Hashes, NDArray[np.int64]]:
    """Users of two cascades or more, sorted, and the edges between them as pairs of their places, (E, 2)."""
    latest: dict[str, Case] = {}
    for case in train:
        known = latest.get(case.graph.id)
        if known is None or known.as_of < case.as_of:
            latest[case.graph.id] = case
    pairs, members = [], []
    for case in latest.values():
        view = case.graph.view(case.as_of)
        child = np.flatnonzero(view.parents >= 0)
        pairs.append(np.stack([view.users[view.parents[child]], view.users[child]], axis=1))
        members.append(np.unique(view.users[view.users != 0]))
    if not pairs:
        return np.zeros(0, dtype=np.uint64), np.zeros((0, 2), dtype=np.int64)
    users, cascades = np.unique(np.concatenate(members), return_counts=True)
    users = users[cascades >= 2]
    found = np.concatenate(pairs)
    found = found[np.isin(found, users).all(axis=1) & (found[:, 0] != found[:, 1])]
    return users, np.searchsorted(users, found).astype(np.int64)
