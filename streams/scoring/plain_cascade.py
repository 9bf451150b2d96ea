"""A cascade by dictionaries alone: slow, obvious, and nothing of the engine's. What scores are verified against."""

from __future__ import annotations

import math

from graph import Event, Kind

_RESHARES = frozenset({Kind.REPOST, Kind.QUOTE})


class PlainCascade:
    """Which events are seen from when on.

    An event is visible from its own time on, or from just after the watermark that had passed it when it came; an undo
    ends the visibility of what it names, by the same rule. Of an id that comes twice the first content counts.

    >>> cascade = PlainCascade("p")
    >>> for event in (Event("p", "p", Kind.POST, 10.0), Event("a", "p", Kind.REPOST, 20.0, parent="p")):
    ...     cascade.apply(event, -math.inf)
    True
    True
    >>> cascade.size_at(19.0), cascade.size_at(20.0), cascade.root_time_at(20.0)
    (0, 1, 10.0)
    """

    def __init__(self, id: str) -> None:
        self.id = id
        self.withdrawn_at = math.inf
        self._root: tuple[str, float, float] | None = None  # id, time, visible from
        self._reactions: dict[str, tuple[float, float, bool]] = {}  # time, visible from, whether it is a reshare
        self._undone: dict[str, float] = {}

    def apply(self, event: Event, watermark: float) -> bool:
        """Take in an event that came when the watermark (s) stood there; False for one that changes nothing."""
        visible = math.nextafter(watermark, math.inf) if watermark > event.time else event.time
        if event.kind is Kind.UNDO:
            return self._undo(str(event.parent), visible)
        if event.id in self._reactions or (self._root is not None and event.id == self._root[0]):
            return False
        if event.kind is Kind.POST:
            return self._post(event, visible, watermark)
        if event.id == self.id:
            return False
        self._reactions[event.id] = event.time, visible, event.kind in _RESHARES
        return True

    def _post(self, event: Event, visible: float, watermark: float) -> bool:
        if self._root is not None:
            return False
        self._root = event.id, event.time, visible
        undone = self._undone.pop(event.id, math.inf)
        if undone < math.inf:  # taken back before it was seen
            known = undone if watermark <= undone else math.nextafter(watermark, math.inf)
            self.withdrawn_at = min(self.withdrawn_at, known)
        return True

    def _undo(self, target: str, at: float) -> bool:
        if target == self.id or (self._root is not None and target == self._root[0]):
            earlier, self.withdrawn_at = self.withdrawn_at, min(self.withdrawn_at, at)
            return at < earlier
        earlier = self._undone.get(target, math.inf)
        self._undone[target] = min(at, earlier)
        return at < earlier

    def root_time_at(self, as_of: float) -> float:
        """When the post was published (s), as known at ``as_of``: without it, when the earliest reaction came."""
        if self._root is not None and self._root[2] <= as_of:
            return self._root[1]
        seen = [time for time, visible, _ in self._reactions.values() if visible <= as_of]
        return min(seen, default=self._root[1] if self._root is not None else math.nan)

    def size_at(self, as_of: float) -> int:
        """Reposts and quotes visible at event time ``as_of`` (s)."""
        return sum(
            counts and visible <= as_of and (name not in self._undone or as_of < self._undone[name])
            for name, (_, visible, counts) in self._reactions.items()
        )
