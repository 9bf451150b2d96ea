"""The live cascade: a post and all that descends from it, in some 30 bytes a node, grown one event at a time.

Whatever the order in which events arrive, the same events give the same tree (bounded waits and ids used twice apart),
and a view as of a past instant X never changes any more once the watermark has passed X: what arrives later becomes
visible after X only. So forecasts are functions of the input alone.
"""

from __future__ import annotations

import enum
import math
import struct
import weakref
from bisect import bisect_right
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_digest

from graph import delta
from graph.events import Event, Kind
from graph.identity import KEY_BYTES, SCAN_NODES, UNKNOWN_USER, HashIndex, aligned_find, key_of
from graph.irregular import Irregular
from graph.records import INFERRED, KIND_CODES, KIND_MASK, NAMES_ROOT, NARROW, REPLY, WIDE, depths_of, widened
from graph.view import CascadeView, build_view, reshares_seen

if TYPE_CHECKING:
    import networkx
    import torch_geometric.data

MAX_EVENTS: Final = 200_000
"""Nodes kept in full: three times the largest cascades of a platform's ordinary day, and some 8 MB."""

_FLOAT32: Final = struct.Struct("<f")
_NOT_A_NUMBER: Final = _FLOAT32.pack(math.nan)

RootFacts = tuple[int | None, bool | None, str | None, str | None]
_NO_FACTS: Final[RootFacts] = (None, None, None, None)


class Outcome(enum.IntEnum):
    """What became of an event."""

    APPLIED = 0
    DUPLICATE = 1
    """Its id has been seen (the first content stands), or it changes nothing, like a second undo."""
    LATE = 2
    """Its cascade has left memory, or the event is older than the retention. Only a `CascadeStore` says so."""


# Looking an enumeration's member up by its class takes as long as hashing an id.
_POST: Final = Kind.POST
_REPOST: Final = Kind.REPOST
_UNDO: Final = Kind.UNDO
_REPOST_CODE: Final = KIND_CODES[Kind.REPOST]
_APPLIED: Final = Outcome.APPLIED
_DUPLICATE: Final = Outcome.DUPLICATE


class Cascade:
    """One post and its reshares and replies.

    Up to ``max_events`` reactions are kept in full. Beyond them reshares are counted by the minute (``binned``): they
    cannot be told from duplicates, undone or answered.

    The root answers to its own id and to the cascade's, which are usually the same; so a reaction that takes the
    cascade's id for its own is a duplicate.

    >>> cascade = Cascade("p")
    >>> cascade.apply(Event(id="p", cascade="p", kind=Kind.POST, time=0.0)).name
    'APPLIED'
    >>> cascade.apply(Event(id="a", cascade="p", kind=Kind.REPOST, time=3.0, parent="p", user="u")).name
    'APPLIED'
    >>> cascade.size, cascade.depth, cascade.users
    (1, 1, 1)
    """

    __slots__ = (
        "_changed",
        "_depth",
        "_depths_stale",
        "_derived",
        "_followers",
        "_index",
        "_irregular",
        "_keys",
        "_last_time",
        "_layout",
        "_marked_nodes",
        "_marked_version",
        "_ordered",
        "_records",
        "_root",
        "_size",
        "id",
        "max_events",
        "version",
    )

    def __init__(self, id: str, *, max_events: int = MAX_EVENTS) -> None:
        self.id = id
        self.max_events = max_events
        self.version = 0
        self._layout = NARROW
        # Position 0 is the root, a virtual one until its post arrives: no key, and the earliest time of the others.
        self._keys = bytearray(KEY_BYTES)
        self._records = bytearray(NARROW.pack(math.inf, UNKNOWN_USER, 0, 0, 0))
        self._followers: bytearray | None = None  # float32 a node, once a reaction says its author's followers
        self._index: HashIndex | None = None
        self._irregular: Irregular | None = None
        self._root: RootFacts | None = None
        self._size = 0
        self._depth = 0
        self._last_time = -math.inf
        # Records lie in order of visibility and every parent before its children, so a prefix of them is a view.
        self._ordered = True
        self._depths_stale = False
        self._derived: dict[Any, Any] | None = None
        # What the last delta told: that many nodes, this version; and which of those nodes have changed since.
        self._marked_nodes = 0
        self._marked_version = 0
        self._changed: set[int] | None = None

    # ---- growing

    def apply(self, event: Event, watermark: float = -math.inf) -> Outcome:
        """Take in one event of this cascade; ``watermark`` is its partition's, before this event moved it (s)."""
        kind = event.kind
        if kind is _REPOST:
            code = _REPOST_CODE
        elif kind is _UNDO:
            return self._undo(event, watermark)
        elif kind is _POST:
            return self._publish(event, watermark)
        else:
            code = KIND_CODES[kind]
        event_id = event.id
        if event_id == self.id:
            return _DUPLICATE
        key = xxh3_64_digest(event_id.encode())
        keys = self._keys
        index = self._index
        # The scan is spelt out here and below: a call would cost as much as the scan.
        if index is not None:
            if index.find(keys, key) >= 0:
                return _DUPLICATE
        elif (at := keys.find(key)) >= 0 and (at & 7 == 0 or aligned_find(keys, key) >= 0):
            return _DUPLICATE
        position = len(keys) >> 3
        if position > self.max_events:
            return self._count(event, watermark)

        time = event.time
        parent = 0
        awaited = None
        declared = event.parent
        if declared is None:
            code |= INFERRED
        elif declared != self.id:
            parent_key = xxh3_64_digest(declared.encode())
            if index is not None:
                parent = index.find(keys, parent_key)
            elif (parent := keys.find(parent_key)) & 7 == 0:
                parent >>= 3
            else:
                parent = aligned_find(keys, parent_key)
            if parent < 0:
                parent = 0
                code |= INFERRED
                if parent_key != key:
                    awaited = parent_key
            elif parent == 0:
                code |= NAMES_ROOT

        records = self._records
        layout = self._layout
        depth = layout.unpack_from(records, parent * layout.size)[3] + 1 if parent else 1
        if depth > layout.max_depth or position >= layout.max_nodes:
            layout, records = self._widen()
        if depth > self._depth:
            self._depth = depth
        user = event.user
        records += layout.pack(
            time, UNKNOWN_USER if user is None else xxh3_64_digest(user.encode()), parent, depth, code
        )
        keys += key
        if index is not None:
            index.add(keys, key)
        elif position >= SCAN_NODES:
            self._index = HashIndex(keys)
        if self._followers is not None or event.followers is not None:
            self._note_followers(position, event.followers)
        if code & KIND_MASK != REPLY:
            self._size += 1
        if time >= self._last_time:
            if position == 1 and self._root is None:
                self._set_virtual_root_time(time)
            self._last_time = time
        else:
            self._out_of_order(time)
        if watermark > time:
            self._arrive_late(position, watermark)
        if awaited is not None:
            self._irregularities().waiting.add(awaited, position)
        if self._irregular is not None:
            self._meet_waiting(self._irregular, position, key, code)
        self.version += 1
        self._derived = None
        return _APPLIED

    def _publish(self, event: Event, watermark: float) -> Outcome:
        """The root arrives: fill in position 0."""
        if self._root is not None:
            return _DUPLICATE
        key = key_of(event.id)
        if self._find(key) > 0:
            return _DUPLICATE
        time = event.time
        if time > self._time(0):
            self._ordered = False
        self._keys[:KEY_BYTES] = key
        if self._index is not None:
            self._index = HashIndex(self._keys)
        layout = self._layout
        user = UNKNOWN_USER if event.user is None else key_of(event.user)
        self._records[: layout.size] = layout.pack(time, user, 0, 0, 0)
        facts = (event.followers, event.verified, event.lang, event.source)
        self._root = _NO_FACTS if facts == _NO_FACTS else facts
        if self._followers is not None:
            self._followers[:4] = _as_float32(event.followers)
        if time > self._last_time:
            self._last_time = time
        if watermark > time:
            self._arrive_late(0, watermark)
        self._note_change(0)
        if self._irregular is not None:
            self._meet_root(self._irregular, key)
        self.version += 1
        self._derived = None
        return _APPLIED

    def _undo(self, event: Event, watermark: float) -> Outcome:
        at = event.time if watermark <= event.time else math.nextafter(watermark, math.inf)
        irregular = self._irregularities()
        target = event.parent
        if target is None:
            return _DUPLICATE
        key = key_of(target)
        position = 0 if target == self.id else self._find(key)
        if position == 0:
            known = irregular.withdrawn_at
        elif position > 0:
            known = irregular.undone.get(position, math.inf)
        else:
            known = irregular.pending_undos.get(key, math.inf)
        if at >= known:
            return _DUPLICATE
        if position == 0:
            irregular.withdrawn_at = at
        elif position > 0:
            if known == math.inf and self._flags(position) & KIND_MASK != REPLY:
                self._size -= 1
            irregular.undo(position, at)
            self._ordered = False
        else:
            irregular.await_undo(key, at)
        self.version += 1
        self._derived = None
        return _APPLIED

    def _count(self, event: Event, watermark: float) -> Outcome:
        """An event beyond ``max_events``: a reshare is counted, a reply only noticed."""
        if event.kind is not Kind.REPLY:
            late = watermark > event.time
            self._irregularities().count(math.nextafter(watermark, math.inf) if late else event.time)
            self._size += 1
        self._last_time = max(self._last_time, event.time)
        self.version += 1
        self._derived = None
        return _APPLIED

    def _meet_waiting(self, irregular: Irregular, position: int, key: bytes, code: int) -> None:
        """An undo or children may have waited for the node that has just been appended."""
        if irregular.pending_undos and (at := irregular.take_undo(key)) is not None:
            irregular.undo(position, at)
            self._ordered = False
            if code & KIND_MASK != REPLY:
                self._size -= 1
        if irregular.waiting.children and (children := irregular.waiting.take(key)):
            self._relink(children, position)

    def _meet_root(self, irregular: Irregular, key: bytes) -> None:
        """An undo or children may have waited for the root under an id of its own."""
        if irregular.pending_undos and (at := irregular.take_undo(key)) is not None:
            irregular.withdrawn_at = min(irregular.withdrawn_at, at)
        for child in irregular.waiting.take(key):
            self._set_parent(child, 0, how=NAMES_ROOT)

    def _relink(self, children: list[int], position: int) -> None:
        """Hang ``children`` on the node at ``position``, for which they waited.

        One of them may be the node's own ancestor. The cycle is then cut where the node stands that became visible
        last: whoever names it as the parent stays on the root, which is also what everybody saw until it came.
        """
        path = [position]  # up to the child of the root
        while parent := self._parent(path[-1]):
            path.append(parent)
        for child in children:
            if child == path[-1]:
                last = max(range(len(path)), key=lambda step: (self._visible_from(path[step]), self._key(path[step])))
                cut = path[last - 1]  # path[-1] is the child itself when the last to come is the node at position
                if cut != child:
                    self._set_parent(child, position)
                self._set_parent(cut, 0, how=INFERRED)
            else:
                self._set_parent(child, position)
        self._ordered = False
        self._depths_stale = True

    # ---- single records

    def _find(self, key: bytes) -> int:
        return aligned_find(self._keys, key) if self._index is None else self._index.find(self._keys, key)

    def _key(self, position: int) -> bytes:
        return bytes(self._keys[position * KEY_BYTES : (position + 1) * KEY_BYTES])

    def _time(self, position: int) -> float:
        time: float = self._layout.unpack_from(self._records, position * self._layout.size)[0]
        return time

    def _parent(self, position: int) -> int:
        parent: int = self._layout.unpack_from(self._records, position * self._layout.size)[2]
        return parent

    def _flags(self, position: int) -> int:
        return self._records[(position + 1) * self._layout.size - 1]

    def _visible_from(self, position: int) -> float:
        time = self._time(position)
        return time if self._irregular is None else self._irregular.late.get(position, time)

    def _set_virtual_root_time(self, time: float) -> None:
        self._records[: self._layout.size] = self._layout.pack(time, UNKNOWN_USER, 0, 0, 0)
        self._note_change(0)

    def _set_parent(self, position: int, parent: int, *, how: int = 0) -> None:
        layout = self._layout
        start = position * layout.size
        time, user, _, depth, flags = layout.unpack_from(self._records, start)
        flags = flags & ~INFERRED | how
        self._records[start : start + layout.size] = layout.pack(time, user, parent, depth, flags)
        self._note_change(position)

    def _note_change(self, position: int) -> None:
        if position < self._marked_nodes:
            if self._changed is None:
                self._changed = set()
            self._changed.add(position)

    def _note_followers(self, position: int, followers: int | None) -> None:
        if self._followers is None:
            self._followers = bytearray(_NOT_A_NUMBER * position)
            if self._root is not None:
                self._followers[:4] = _as_float32(self._root[0])
        self._followers += _as_float32(followers)

    def _absorb_followers(self, first: int, followers: bytes) -> None:
        """Replace the followers from position ``first`` on by restored ones."""
        if self._followers is None:
            self._followers = bytearray(_NOT_A_NUMBER * first)
        self._followers[first * len(_NOT_A_NUMBER) :] = followers
        if self._root is not None:
            self._followers[:4] = _as_float32(self._root[0])

    def _out_of_order(self, time: float) -> None:
        self._ordered = False
        if self._root is None and time < self._time(0):
            self._set_virtual_root_time(time)

    def _arrive_late(self, position: int, watermark: float) -> None:
        self._irregularities().late[position] = math.nextafter(watermark, math.inf)
        self._ordered = False

    def _irregularities(self) -> Irregular:
        if self._irregular is None:
            self._irregular = Irregular()
        return self._irregular

    def _widen(self) -> tuple[Any, bytearray]:
        self._records = widened(self._records)
        self._layout = WIDE
        return self._layout, self._records

    # ---- columns

    def _columns(self, count: int = -1) -> NDArray[Any]:
        """The first ``count`` records as a structured array; drop it before the next append, which it would forbid."""
        return np.frombuffer(self._records, self._layout.dtype, count)

    def _settle_depths(self) -> None:
        """Recompute the depths after nodes were hung on other parents."""
        if not self._depths_stale:
            return
        depths = depths_of(self._columns()["parent"].astype(np.int32))
        self._depth = int(depths.max())
        if self._depth > self._layout.max_depth:
            self._widen()
        self._columns()["depth"] = depths
        self._depths_stale = False

    # ---- reading

    @property
    def size(self) -> int:
        """Popularity: reshares that are not undone, binned ones included."""
        return self._size

    @property
    def binned(self) -> int:
        """Reshares beyond ``max_events``, counted but not kept."""
        return 0 if self._irregular is None else self._irregular.counted(math.inf)

    @property
    def nodes(self) -> int:
        """Nodes that are not undone, the root included (also a virtual one)."""
        return (len(self._keys) >> 3) - (0 if self._irregular is None else len(self._irregular.undone))

    @property
    def depth(self) -> int:
        """Depth of the deepest node that is not undone; the root's is 0."""
        if self._irregular is not None and self._irregular.undone:
            derived = self._derive()
            if "depth" not in derived:
                derived["depth"] = int(self.view().depths.max())
            depth: int = derived["depth"]
            return depth
        self._settle_depths()
        return self._depth

    @property
    def users(self) -> int:
        """Distinct users known over the nodes that are not undone, the root included."""
        derived = self._derive()
        if "users" not in derived:
            undone = self._irregular is not None and self._irregular.undone
            users = np.unique(self.view().users if undone else self._columns()["user"])
            derived["users"] = len(users) - int(users[0] == 0)
        count: int = derived["users"]
        return count

    @property
    def has_root(self) -> bool:
        """Whether the post itself has been seen."""
        return self._root is not None

    @property
    def root_time(self) -> float:
        """When the post was published (s); without it, the earliest time known."""
        time: float = self._layout.unpack_from(self._records)[0]
        if time == math.inf and self._irregular is not None:
            return self._irregular.earliest_undo()
        return time

    @property
    def first_time(self) -> float:
        """Earliest time of the root and its reactions (s); +inf in a cascade without any."""
        return self._time(0) if self._ordered else float(self._columns()["time"].min())

    @property
    def last_time(self) -> float:
        """Latest time of the root and its reactions (s); -inf in a cascade without any."""
        return self._last_time

    @property
    def withdrawn_at(self) -> float:
        """Event time from which the root is taken back, +inf if it is not."""
        return math.inf if self._irregular is None else self._irregular.withdrawn_at

    @property
    def root_followers(self) -> int | None:
        """Followers of the post's author, where given."""
        return None if self._root is None else self._root[0]

    @property
    def root_verified(self) -> bool | None:
        """Whether the post's author is verified, where given."""
        return None if self._root is None else self._root[1]

    @property
    def root_lang(self) -> str | None:
        """Language of the post, where given."""
        return None if self._root is None else self._root[2]

    @property
    def root_source(self) -> str | None:
        """Platform of the post, where given."""
        return None if self._root is None else self._root[3]

    def view(self, as_of: float = math.inf) -> CascadeView:
        """The cascade as it was visible at event time ``as_of`` (s).

        The last view is remembered for as long as somebody holds it, so a cascade nobody looks at costs nothing.
        """
        derived = self._derive()
        known = derived.get("view")
        if known is not None and (view := known()) is not None and view.as_of == as_of:
            return view  # type: ignore[no-any-return]
        view = build_view(self, as_of)
        derived["view"] = weakref.ref(view)
        return view

    def size_at(self, as_of: float) -> int:
        """``view(as_of).size`` without building the view."""
        return reshares_seen(self, as_of)

    def to_networkx(self, as_of: float = math.inf) -> networkx.DiGraph[int]:
        """See `graph.export.to_networkx`; the last one is kept until the cascade changes."""
        from graph.export import to_networkx

        return self._exported(("networkx", as_of), lambda: to_networkx(self.view(as_of)))

    def to_pyg(
        self, as_of: float = math.inf, temporal: bool = False
    ) -> torch_geometric.data.Data | torch_geometric.data.TemporalData:
        """See `graph.export.to_pyg`; the last one is kept until the cascade changes."""
        from graph.export import to_pyg

        return self._exported(("pyg", temporal, as_of), lambda: to_pyg(self.view(as_of), temporal=temporal))

    def _exported(self, key: tuple[Any, ...], make: Any) -> Any:
        derived = self._derive()
        if derived.get("export", (None,))[0] != key:
            derived["export"] = (key, make())
        return derived["export"][1]

    def _derive(self) -> dict[Any, Any]:
        """What was computed from the present version; every change drops it."""
        if self._derived is None:
            self._derived = {}
        return self._derived

    def _seen_in_order(self, as_of: float) -> int:
        """Records of an ordered cascade visible at ``as_of``; the root always is."""
        nodes = len(self._keys) >> 3
        if as_of >= self._last_time:
            return nodes
        return max(1, bisect_right(range(nodes), as_of, key=self._time))

    # ---- durable state

    def delta(self) -> bytes | None:
        """What changed since the last delta (everything, the first time) for `absorb`; None if nothing did."""
        if self.version == self._marked_version:
            return None
        chunk = delta.encode(self, self._marked_nodes, self._marked_version)
        self.settle()
        return chunk

    def settle(self) -> None:
        """Take the present state for told: the next delta says only what changes from here on."""
        self._marked_nodes = len(self._keys) >> 3
        self._marked_version = self.version
        self._changed = None
        if self._irregular is not None:
            self._irregular.settle()

    def snapshot(self) -> bytes:
        """The whole state in the format of a delta; what the next `delta` tells does not change."""
        return delta.encode(self, 0, 0)

    def absorb(self, chunk: bytes) -> None:
        """Continue with a delta or snapshot of this cascade; one that tells nothing new changes nothing.

        Raises:
            StateFormatError: the chunk is damaged, of a newer format, of another cascade, or one before it is missing.
        """
        delta.absorb(self, chunk)

    @classmethod
    def restore(cls, chunks: Iterable[bytes], *, max_events: int = MAX_EVENTS) -> Cascade:
        """The cascade that a snapshot and the deltas after it describe.

        Raises:
            StateFormatError: no chunk at all, or see `absorb`.
        """
        cascade = None
        for chunk in chunks:
            if cascade is None:
                cascade = cls(delta.cascade_of(chunk), max_events=max_events)
            cascade.absorb(chunk)
        if cascade is None:
            raise delta.StateFormatError("a cascade cannot be restored from no state at all")
        return cascade


def _as_float32(value: int | None) -> bytes:
    return _NOT_A_NUMBER if value is None else _FLOAT32.pack(value)
