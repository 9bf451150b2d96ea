"""Which chunks are of the same cascade, found out for millions of them without a string for any.

Each chunk says whose it is. Their names are hashed by numpy, eight bytes of all of them at a time, sorted by that, and
then compared: what two names share by chance, or by somebody's art, is tried again with other factors.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]

_WORD: Final = np.dtype("<u8")
_WORD_BYTES: Final = _WORD.itemsize
_ALL_BITS: Final = np.uint64(2**64 - 1)
_HALF: Final = np.uint64(32)


@dataclass(frozen=True, slots=True)
class Groups:
    """Rows by their names: group ``g`` has the rows ``order[edges[g]:edges[g + 1]]``, which ascend.

    Groups come in the order of their first rows; ``edges`` ends with the number of rows.
    """

    order: Places
    edges: Places


def by_name(data: bytes, starts: Places, lengths: Places) -> Groups:
    """Group the rows whose names ``data[starts[i]:starts[i] + lengths[i]]`` are equal."""
    if not len(starts):
        return Groups(starts, np.zeros(1, np.int64))
    columns = list(_columns(data, starts, lengths))
    while True:
        hashes = _hashes(lengths, columns, [secrets.randbits(64) | 1 for _ in range(3)])
        order = np.argsort(hashes, kind="stable")
        sorted_hashes = hashes[order]
        changes = np.flatnonzero(sorted_hashes[1:] != sorted_hashes[:-1]) + 1
        edges = np.concatenate([[0], changes, [len(order)]])
        if _are_equal(lengths, columns, order, edges):
            return _by_first_row(order, edges)


@dataclass(frozen=True, slots=True)
class _Column:
    """Eight bytes of each name that is so long; what lies behind its end is zero. ``rows`` None: of all."""

    rows: Places | None
    words: NDArray[np.uint64]

    def of(self, rows: Places) -> NDArray[np.uint64]:
        """The words of some rows that have one."""
        return self.words[rows if self.rows is None else np.searchsorted(self.rows, rows)]


def _columns(data: bytes, starts: Places, lengths: Places) -> Iterator[_Column]:
    data = data.ljust(_WORD_BYTES, b"\x00")
    everywhere = np.ndarray((len(data) - _WORD_BYTES + 1,), _WORD, data, strides=(1,))
    shortest = int(lengths.min())
    for at in range(0, int(lengths.max()), _WORD_BYTES):
        rows = None if at < shortest else np.flatnonzero(lengths > at)
        places = starts + at if rows is None else starts[rows] + at
        beyond = places.max() - (len(everywhere) - 1)
        words = everywhere[places if beyond <= 0 else np.minimum(places, len(everywhere) - 1)]
        if beyond > 0:
            words >>= (8 * np.maximum(places - (len(everywhere) - 1), 0)).astype(np.uint64)
        if at + _WORD_BYTES > shortest:
            missing = np.maximum(at + _WORD_BYTES - (lengths if rows is None else lengths[rows]), 0)
            words &= _ALL_BITS >> (8 * missing).astype(np.uint64)
        yield _Column(rows, words)


def _hashes(lengths: Places, columns: Sequence[_Column], factors: Sequence[int]) -> NDArray[np.uint64]:
    """(n,) of each name. Who does not know the odd ``factors`` cannot choose two names that share one."""
    first, second, third = (np.uint64(factor) for factor in factors)
    found = lengths.astype(np.uint64)
    found *= first
    for column in columns:
        mixed = column.words ^ first
        mixed *= second
        mixed ^= mixed >> _HALF
        mixed *= third
        mixed += found if column.rows is None else found[column.rows]
        mixed *= first
        mixed ^= mixed >> _HALF
        if column.rows is None:
            found = mixed
        else:
            found[column.rows] = mixed
    return found


def _are_equal(lengths: Places, columns: Sequence[_Column], order: Places, edges: Places) -> bool:
    """Whether the rows of each group have one name."""
    first = np.empty(len(order), np.int64)
    first[order] = np.repeat(order[edges[:-1]], np.diff(edges))
    if not (lengths == lengths[first]).all():
        return False
    return all(
        bool((column.words == column.of(first if column.rows is None else first[column.rows])).all())
        for column in columns
    )


def _by_first_row(order: Places, edges: Places) -> Groups:
    by_first = np.argsort(order[edges[:-1]])
    counts = np.diff(edges)[by_first]
    ends = np.cumsum(counts)
    within = np.arange(len(order)) - np.repeat(ends - counts, counts)
    return Groups(order[np.repeat(edges[:-1][by_first], counts) + within], np.concatenate([[0], ends]))
