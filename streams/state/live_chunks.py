"""The chunks of a partition's live cascades, gathered from segment after segment, and the cascades they tell.

A recovery reads millions of chunks. They stay in columns: which of them are needed is worked out for all at once, and
so are the cascades, of which nearly all stay dormant until somebody needs them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from graph import Cascade
from graph.chunk_names import Places, by_name
from graph.dormant import Dormant
from graph.merging import merged, names, read_names, tell_everything
from streams.state.footprints import CHUNK_FRAMING_BYTES, Footprint
from streams.state.segments import CHECKED_SINCE, Segment

SLAB_CASCADES: Final = 50_000
"""Merged at once: what that takes beside the result is small."""


class LiveChunks:
    """What `Footprint` and the cascade are made of, for each that is live."""

    def __init__(self) -> None:
        self._indexes: list[NDArray[np.uint64]] = []  # of each chunk, segment by segment
        self._sizes: list[NDArray[np.int64]] = []
        self._data: list[bytes] = []
        self._count = 0
        self._left: dict[str, int] = {}  # cascade -> how many chunks there were when it left
        self._checked = True

    def take(self, segment: Segment) -> None:
        """The next segment of the log."""
        chunks = segment.chunks
        if len(chunks):
            self._indexes.append(chunks.places())
            self._sizes.append(chunks.sizes())
            self._data.append(chunks.data)
            self._count += len(chunks)
            self._checked &= segment.version >= CHECKED_SINCE
        for cascade, _ in segment.left:
            self._left[cascade] = self._count

    def restore(self, max_events: int) -> Iterator[tuple[list[Cascade | Dormant], int]]:
        """The live cascades, each with its `Footprint`, and how many bytes of the log they need; the chunks are let go.

        Raises StateFormatError for a cascade that cannot be restored.
        """
        if not self._count:
            return
        data = b"".join(self._data)
        self._data.clear()
        rows = self._needed(data)
        for start in range(0, len(rows.cascades), SLAB_CASCADES):
            slab = rows.slab(start, start + SLAB_CASCADES)
            footprints, needed_bytes = slab.footprints()
            found: Sequence[Dormant | None] = [None] * len(slab.cascades)
            if self._checked:  # what a flipped bit made of it must show now, not when the cascade wakes
                found = merged(data, slab.starts, slab.ends, slab.edges, slab.cascades)
            restored: list[Cascade | Dormant] = []
            for at, (dormant, footprint) in enumerate(zip(found, footprints, strict=True)):
                cascade = dormant or slab.cascade(at, data, max_events)
                cascade.stored = footprint
                restored.append(cascade)
            yield restored, needed_bytes

    def _needed(self, data: bytes) -> _Rows:
        """Of each cascade, its chunks since it last left, in order of their indexes, from the last that tells
        everything on. Cleaning writes chunks again, later in the log: of an index that comes twice the later counts."""
        sizes = np.concatenate(self._sizes)
        ends = np.cumsum(sizes)
        starts = ends - sizes
        names_at, name_bytes = names(data, starts, ends)
        groups = by_name(data, names_at, name_bytes)
        first = groups.order[groups.edges[:-1]]
        cascades = read_names(data, names_at[first], name_bytes[first])
        of = np.repeat(np.arange(len(cascades)), np.diff(groups.edges))
        order, indexes = groups.order, np.concatenate(self._indexes)
        if self._left:
            gone = np.fromiter((self._left.get(cascade, 0) for cascade in cascades), np.int64, len(cascades))
            stays = order >= gone[of]
            order, of = order[stays], of[stays]
        if not _ascends(of, indexes[order]):
            order = order[np.lexsort((order, indexes[order], of))]
            again = (of[1:] == of[:-1]) & (indexes[order][1:] == indexes[order][:-1])
            latest = ~np.append(again, [False] * min(1, len(order)))
            order, of = order[latest], of[latest]
        starts, ends = starts[order], ends[order]
        whole = tell_everything(data, starts, ends)
        last_whole = np.maximum.accumulate(np.where(whole, np.arange(len(order)), -1))
        edges = _edges(of)
        since = np.maximum(edges[:-1], last_whole[edges[1:] - 1])
        chosen = np.arange(len(order)) >= np.repeat(since, np.diff(edges))
        of, starts, ends, whole = of[chosen], starts[chosen], ends[chosen], whole[chosen]
        edges = _edges(of)
        return _Rows(
            [cascades[number] for number in of[edges[:-1]].tolist()],
            edges,
            starts,
            ends,
            indexes[order[chosen]],
            whole,
        )


@dataclass(frozen=True, slots=True)
class _Rows:
    """The needed chunks; those of cascade ``g`` are ``edges[g]`` to ``edges[g + 1]``."""

    cascades: list[str]
    edges: Places
    starts: Places
    ends: Places
    indexes: NDArray[np.uint64]
    whole: NDArray[np.bool_]

    def slab(self, start: int, end: int) -> _Rows:
        """Of so many cascades."""
        edges = self.edges[start : end + 1]
        rows = slice(int(edges[0]), int(edges[-1]))
        return _Rows(
            self.cascades[start:end],
            edges - edges[0],
            self.starts[rows],
            self.ends[rows],
            self.indexes[rows],
            self.whole[rows],
        )

    def footprints(self) -> tuple[Iterator[Footprint], int]:
        """What each cascade occupies in the log, and what they do together."""
        first = self.edges[:-1]
        lengths = np.fromiter(map(len, self.cascades), np.int64, len(self.cascades))
        names = np.repeat(lengths, np.diff(self.edges))
        costs = self.ends - self.starts + names + CHUNK_FRAMING_BYTES
        each = map(
            Footprint,
            self.indexes[first].tolist(),
            (self.indexes[self.edges[1:] - 1] + 1).tolist(),
            np.add.reduceat(costs, first).tolist(),
            np.where(self.whole[first], costs[first], 0).tolist(),
        )
        return each, int(costs.sum())

    def cascade(self, at: int, data: bytes, max_events: int) -> Cascade:
        """One of them, awake."""
        rows = range(int(self.edges[at]), int(self.edges[at + 1]))
        return Cascade.restore([data[self.starts[row] : self.ends[row]] for row in rows], max_events=max_events)


def _ascends(of: NDArray[np.int64], indexes: NDArray[np.uint64]) -> bool:
    """Whether the indexes of each cascade ascend."""
    return bool(((of[1:] != of[:-1]) | (indexes[1:] > indexes[:-1])).all())


def _edges(of: NDArray[np.int64]) -> Places:
    """Where the chunks of each cascade begin, and their number at the end; there may be none."""
    changes = np.flatnonzero(of[1:] != of[:-1]) + 1
    return np.concatenate([np.zeros(min(1, len(of)), np.int64), changes, [len(of)]])
