"""Many cascades restored at once: the chunks of each become one, without an object for any of them.

A recovery has millions of chunks to read, nearly all of which only append to the one before. For those the columns are
copied by numpy, all headers checked at once; a cascade about which anything else is to be told is left to
`Cascade.restore`.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from graph import delta
from graph.cascade import regular_bytes
from graph.chunk_names import Places, by_name
from graph.dormant import Dormant
from graph.identity import KEY_BYTES
from graph.records import NARROW

_HEADER: Final = np.dtype(
    [
        ("format", "u1"),
        ("contents", "u1"),
        ("base", "<u4"),
        ("version", "<u4"),
        ("first", "<u4"),
        ("count", "<u4"),
        ("size", "<u4"),
        ("depth", "<u4"),
        ("last_time", "<f8"),
        ("name", "<u2"),
    ]
)
"""`graph.delta` describes it."""

_FOLLOWERS_BYTES: Final = 4
_NODE_BYTES: Final = KEY_BYTES + NARROW.size

_ONLY_ROOT_FACTS: Final = np.frombuffer(b"\x81\xa1r", "u1")
"""How exceptions begin in MessagePack that tell what is known of the post, and nothing else."""


def merged(data: bytes, starts: Places, ends: Places, edges: Places, cascades: list[str]) -> list[Dormant | None]:
    """The ``cascades`` that are regular, each as one whole chunk; None for the others.

    The chunks ``data[starts[i]:ends[i]]`` of cascade ``g``, in their order, are those with ``edges[g] <= i <
    edges[g + 1]``: at least one, the first of them whole, all of that name.
    """
    if not cascades or len(data) < _HEADER.itemsize or int((ends - starts).min()) < _HEADER.itemsize:
        return [None] * len(cascades)
    table = _Table(np.frombuffer(data, np.uint8), starts, ends)
    regular = np.logical_and.reduceat(table.appends(edges), edges[:-1])
    chosen = np.flatnonzero(regular)
    regular[chosen] = table.tells_a_post(data, edges[chosen])
    found: list[Dormant | None] = [None] * len(cascades)
    chosen = np.flatnonzero(regular)
    if len(chosen):
        counts = np.diff(edges)
        rows = table if regular.all() else table.rows(np.repeat(regular, counts))
        new_edges = np.concatenate([[0], np.cumsum(counts[chosen])])
        dormant = _dormant(rows, new_edges, [cascades[at] for at in chosen])
        for at, one in zip(chosen.tolist(), dormant, strict=True):
            found[at] = one
    return found


def names(data: bytes, starts: Places, ends: Places) -> tuple[Places, Places]:
    """Where in the chunks ``data[starts[i]:ends[i]]`` the ids of their cascades lie, and how many bytes these have.

    Raises:
        StateFormatError: a chunk is damaged or of a newer format.
    """
    at = starts + _HEADER.itemsize
    unsound = np.flatnonzero(at > ends)
    if not len(unsound):
        length = _field(data, starts, "name").astype(np.int64)
        unsound = np.flatnonzero((_field(data, starts, "format") != delta.FORMAT) | (at + length > ends))
        if not len(unsound):
            return at, length
    row = unsound[0]
    raise delta.error_of(data[starts[row] : ends[row]])


def read_names(data: bytes, at: Places, length: Places) -> list[str]:
    """The ids at such places. Raises StateFormatError for what are none."""
    try:
        return [data[start:end].decode() for start, end in zip(at.tolist(), (at + length).tolist(), strict=True)]
    except UnicodeDecodeError:
        raise delta.damaged("a cascade") from None


def tell_everything(data: bytes, starts: Places, ends: Places) -> NDArray[np.bool_]:
    """(n,) whether the chunks ``data[starts[i]:ends[i]]`` build on nothing before them (`graph.delta.is_whole`)."""
    whole = np.zeros(len(starts), bool)
    long = ends - starts >= _HEADER.itemsize
    whole[long] = _field(data, starts[long], "base") == 0
    return whole


def _field(data: bytes, starts: Places, name: str) -> NDArray[Any]:
    """(n,) of the headers that begin at ``starts``: one alone is read much faster than all."""
    dtype, at = _HEADER.fields[name][:2]  # type: ignore[index]
    found: NDArray[Any] = _everywhere(np.frombuffer(data, np.uint8), dtype)[starts + at]
    return found


class _Table:
    """Chunks by the columns of their headers."""

    def __init__(self, data: NDArray[np.uint8], starts: Places, ends: Places) -> None:
        self.data = data
        self.starts = starts
        self.ends = ends
        # As so many bytes each: numpy takes five times as long where it knows of fields.
        self.headers = _everywhere(data, np.dtype(f"V{_HEADER.itemsize}"))[starts].view(_HEADER)
        self.count = self.headers["count"].astype(np.int64)
        self.first = self.headers["first"].astype(np.int64)
        self.with_followers = self.headers["contents"] & delta.FOLLOWERS != 0
        self.with_exceptions = self.headers["contents"] & delta.EXCEPTIONS != 0
        self.body = starts + _HEADER.itemsize + self.headers["name"]
        self.body_end = self.body + self.count * (_NODE_BYTES + _FOLLOWERS_BYTES * self.with_followers)

    def rows(self, chosen: NDArray[np.bool_]) -> _Table:
        """Some of them."""
        return _Table(self.data, self.starts[chosen], self.ends[chosen])

    def appends(self, edges: Places) -> NDArray[np.bool_]:
        """(rows,) whether a chunk is the regular first one of its cascade, or only appends to the one before."""
        headers, count, first = self.headers, self.count, self.first
        leads = np.zeros(len(headers), bool)
        leads[edges[:-1]] = True
        version = headers["version"].astype(np.int64)
        continues = np.zeros(len(headers), bool)
        continues[1:] = (
            (headers["base"][1:] == version[:-1])
            & (version[1:] > version[:-1])
            & (first[1:] == (first + count)[:-1])
            & (headers["name"][1:] == headers["name"][:-1])
            & (self.with_followers[1:] >= self.with_followers[:-1])
        )
        begins = (headers["base"] == 0) & (first == 0) & (count > 0) & (version > 0)
        known = (
            delta.ORDER_BITS | delta.FOLLOWERS | delta.EXCEPTIONS
        )  # a wide cascade is so large that merging saves little
        sound = (headers["format"] == delta.FORMAT) & (headers["contents"] & ~np.uint8(known) == 0)
        complete = np.where(self.with_exceptions, leads & self._tells_only_the_root(), self.body_end == self.ends)
        return np.asarray(sound & complete & np.where(leads, begins, continues))

    def tells_a_post(self, data: bytes, lead: Places) -> NDArray[np.bool_]:
        """Of the first chunk of each cascade, whether the facts of a post at its end can be read: what cannot must show
        now, not when the cascade wakes. Few differ."""
        found = np.ones(len(lead), bool)
        starts, ends = self.body_end[lead], self.ends[lead]
        groups = by_name(data, starts, ends - starts)
        for first, end in zip(groups.edges[:-1].tolist(), groups.edges[1:].tolist(), strict=True):
            alike = groups.order[first:end]
            facts = data[starts[alike[0]] : ends[alike[0]]]
            found[alike] = not facts or delta.is_readable(facts)
        return found

    def _tells_only_the_root(self) -> NDArray[np.bool_]:
        room = self.body_end + len(_ONLY_ROOT_FACTS) < self.ends
        said = np.zeros(len(room), bool)
        at = self.body_end[room][:, None] + np.arange(len(_ONLY_ROOT_FACTS))
        said[room] = (self.data[at] == _ONLY_ROOT_FACTS).all(axis=1)
        return said


def _dormant(rows: _Table, edges: Places, cascades: list[str]) -> list[Dormant]:
    """One whole chunk for each cascade; all ``rows`` are of regular ones."""
    lead, last = edges[:-1], edges[1:] - 1
    nodes = rows.first[last] + rows.count[last]
    with_followers = rows.with_followers[last]
    name_bytes = rows.headers["name"][lead].astype(np.int64)
    facts_bytes = rows.ends[lead] - rows.body_end[lead]

    keys_at = _HEADER.itemsize + name_bytes
    records_at = keys_at + nodes * KEY_BYTES
    followers_at = records_at + nodes * NARROW.size
    facts_at = followers_at + nodes * _FOLLOWERS_BYTES * with_followers
    sizes = facts_at + facts_bytes
    ends = np.cumsum(sizes)
    begin = ends - sizes
    target = np.zeros(int(ends[-1]), np.uint8)

    headers = rows.headers[last].copy()
    headers["base"] = headers["first"] = 0
    headers["count"] = nodes
    headers["contents"] |= rows.headers["contents"][lead] & delta.EXCEPTIONS
    _everywhere(target, _HEADER)[begin] = headers
    _copy(rows.data, rows.starts[lead] + _HEADER.itemsize, target, begin + _HEADER.itemsize, name_bytes, 1)
    _copy(rows.data, rows.body_end[lead], target, begin + facts_at, facts_bytes, 1)

    of = np.repeat(np.arange(len(cascades)), np.diff(edges))
    at = begin[of]
    _copy(rows.data, rows.body, target, at + keys_at[of] + rows.first * KEY_BYTES, rows.count, KEY_BYTES)
    records = rows.body + rows.count * KEY_BYTES
    _copy(rows.data, records, target, at + records_at[of] + rows.first * NARROW.size, rows.count, NARROW.size)
    if with_followers.any():
        _fill_unknown_followers(target, begin + followers_at, nodes * with_followers)
        told = rows.with_followers
        source = rows.body + rows.count * _NODE_BYTES
        place = at + followers_at[of] + rows.first * _FOLLOWERS_BYTES
        _copy(rows.data, source[told], target, place[told], rows.count[told], _FOLLOWERS_BYTES)

    root_times = _everywhere(target, np.dtype("<f8"))[begin + records_at]
    base = regular_bytes(0, NARROW, False)
    bare, followed = (regular_bytes(1, NARROW, followers) - base for followers in (False, True))
    memory = base + nodes * np.where(with_followers, followed, bare)
    every = target.tobytes()
    chunks = [every[start:end] for start, end in zip(begin.tolist(), ends.tolist(), strict=True)]
    return list(map(Dormant, cascades, chunks, root_times.tolist(), memory.tolist()))


def _everywhere(data: NDArray[np.uint8], dtype: np.dtype[Any]) -> NDArray[Any]:
    """An element of ``dtype`` at every byte of ``data``, whatever its alignment."""
    return np.ndarray((max(0, len(data) - dtype.itemsize + 1),), dtype, data.data, strides=(1,))


def _copy(
    data: NDArray[np.uint8], source: Places, target: NDArray[np.uint8], place: Places, count: Places, size: int
) -> None:
    """Copy runs of ``count`` elements of ``size`` bytes, each from its ``source`` to its ``place``."""
    of = np.repeat(np.arange(len(count)), count)
    within = (np.arange(len(of)) - np.repeat(np.cumsum(count) - count, count)) * size
    element = np.dtype(f"V{size}")
    _everywhere(target, element)[place[of] + within] = _everywhere(data, element)[source[of] + within]


def _fill_unknown_followers(target: NDArray[np.uint8], place: Places, count: Places) -> None:
    """NaN for every node: those of chunks that came before any followers were known have none."""
    of = np.repeat(np.arange(len(count)), count)
    within = (np.arange(len(of)) - np.repeat(np.cumsum(count) - count, count)) * _FOLLOWERS_BYTES
    _everywhere(target, np.dtype("<f4"))[place[of] + within] = np.float32(np.nan)
