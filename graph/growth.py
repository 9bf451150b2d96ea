"""How a cascade grows: what every kind of event does to it, in whatever order events arrive."""

from __future__ import annotations

import enum
import math
from typing import Final

from xxhash import xxh3_64_digest

from graph.columns import Columns, RootFacts, as_float32
from graph.events import Event, Kind
from graph.identity import KEY_BYTES, SCAN_NODES, UNKNOWN_USER, HashIndex, aligned_find, key_of
from graph.irregular import Irregular
from graph.records import INFERRED, KIND_CODES, KIND_MASK, NAMES_ROOT, REPLY

_NO_FACTS: Final[RootFacts] = (None, None, None, None)


class Outcome(enum.IntEnum):
    """What became of an event."""

    APPLIED = 0
    DUPLICATE = 1
    """Its id has been seen (the first content stands), or it changes nothing, like a second undo."""
    LATE = 2
    """Its cascade has left memory, or the event is older than the retention. Only a `CascadeStore` says so."""
    COUNTED = 3
    """Applied to a cascade that keeps no more events: a reshare is counted by the minute, a reply only noticed."""


# Looking an enumeration's member up by its class takes as long as hashing an id.
_POST: Final = Kind.POST
_REPOST: Final = Kind.REPOST
_UNDO: Final = Kind.UNDO
_REPOST_CODE: Final = KIND_CODES[Kind.REPOST]
_APPLIED: Final = Outcome.APPLIED
_DUPLICATE: Final = Outcome.DUPLICATE


class GrowingCascade(Columns):
    """The columns and `apply`."""

    __slots__ = ()

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
            self._followers[:4] = as_float32(event.followers)
        if time > self._last_time:
            self._last_time = time
        if watermark > time:
            self._arrive_late(0, watermark)
        self._note_change(0)
        if self._irregular is not None:
            self._meet_root(self._irregular, key, watermark)
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
        return Outcome.COUNTED

    def _meet_waiting(self, irregular: Irregular, position: int, key: bytes, code: int) -> None:
        """An undo or children may have waited for the node that has just been appended."""
        if irregular.pending_undos and (at := irregular.take_undo(key)) is not None:
            irregular.undo(position, at)
            self._ordered = False
            if code & KIND_MASK != REPLY:
                self._size -= 1
        if irregular.waiting.children and (children := irregular.waiting.take(key)):
            self._relink(children, position)

    def _meet_root(self, irregular: Irregular, key: bytes, watermark: float) -> None:
        """An undo or children may have waited for the root under an id of its own.

        That the undo is the post's is known only now: what was forecast up to the watermark could not heed it.
        """
        if irregular.pending_undos and (at := irregular.take_undo(key)) is not None:
            known = at if watermark <= at else math.nextafter(watermark, math.inf)
            irregular.withdrawn_at = min(irregular.withdrawn_at, known)
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

    def _out_of_order(self, time: float) -> None:
        self._ordered = False
        if self._root is None and time < self._time(0):
            self._set_virtual_root_time(time)
