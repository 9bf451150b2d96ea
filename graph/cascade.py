"""The live cascade: a post and all that descends from it, in some 30 bytes a node, grown one event at a time.

Whatever the order in which events arrive, the same events give the same tree (bounded waits and ids used twice apart),
and a view as of a past instant X never changes any more once the watermark has passed X: what arrives later becomes
visible after X only. So forecasts are functions of the input alone.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from graph import delta
from graph.columns import MAX_EVENTS
from graph.growth import GrowingCascade, Outcome
from graph.records import Layout
from graph.view import CascadeView, build_view, reshares_seen

if TYPE_CHECKING:
    import networkx
    import torch_geometric.data

CASCADE_BYTES: Final = 470
"""A cascade without its nodes: the objects, its id, its places in the store."""

NODE_BYTES: Final = 14
"""Of a node beside its record: the hash of its id, its share of the index, slack."""

ENTRY_BYTES: Final = 110
"""An exception: two numbers in a dictionary."""

FOLLOWERS_BYTES: Final = 4
"""Of a node where any reaction says its author's followers."""


def regular_bytes(nodes: int, layout: Layout, with_followers: bool) -> int:
    """What a cascade of so many nodes takes about which nothing is irregular."""
    return CASCADE_BYTES + nodes * (NODE_BYTES + layout.size + (FOLLOWERS_BYTES if with_followers else 0))


__all__ = ["MAX_EVENTS", "Cascade", "Outcome", "regular_bytes"]


class Cascade(GrowingCascade):
    """One post and its reshares and replies.

    Up to ``max_events`` reactions are kept in full. Beyond them reshares are counted by the minute (``binned``): they
    cannot be told from duplicates, undone or answered.

    The root answers to its own id and to the cascade's, which are usually the same; so a reaction that takes the
    cascade's id for its own is a duplicate.

    >>> from graph import Event, Kind
    >>> cascade = Cascade("p")
    >>> cascade.apply(Event(id="p", cascade="p", kind=Kind.POST, time=0.0)).name
    'APPLIED'
    >>> cascade.apply(Event(id="a", cascade="p", kind=Kind.REPOST, time=3.0, parent="p", user="u")).name
    'APPLIED'
    >>> cascade.size, cascade.depth, cascade.users
    (1, 1, 1)
    """

    __slots__ = ()

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
    def reactions(self) -> int:
        """Reactions taken in, undone and binned ones included: no view's size is larger."""
        return (len(self._keys) >> 3) - 1 + self.binned

    @property
    def column_bytes(self) -> int:
        """What its nodes take, in memory and in a snapshot."""
        return len(self._keys) + len(self._records) + (0 if self._followers is None else len(self._followers))

    @property
    def memory_bytes(self) -> int:
        """About what the cascade takes in memory, by its own books: a function of its content
        (``cascadecast bench bounds`` holds it against what is measured)."""
        kept = regular_bytes(len(self._keys) >> 3, self._layout, self._followers is not None)
        return kept if self._irregular is None else kept + ENTRY_BYTES * len(self._irregular)

    @property
    def node_bytes(self) -> int:
        """Of `memory_bytes`, what a node takes about which nothing is irregular."""
        return NODE_BYTES + self._layout.size + (0 if self._followers is None else FOLLOWERS_BYTES)

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
        known = list(chunks)
        if not known:
            raise delta.StateFormatError("a cascade cannot be restored from no state at all")
        cascade = cls(delta.cascade_of(known[0]), max_events=max_events)
        delta.absorb_all(cascade, known)
        return cascade
