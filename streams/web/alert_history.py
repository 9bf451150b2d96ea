"""What was said of posts on the alerts topic since this worker has them, for people who watch."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from streams.alerts.records import AlertRecord, AlertState

ROOM: Final = 2000
"""Posts of which it is known; those of which nothing was said for longest go first."""

ROOM_EACH: Final = 50
"""Records of one post."""


class AlertHistory:
    """The last alert records by post."""

    def __init__(self, room: int = ROOM, room_each: int = ROOM_EACH) -> None:
        self._room = room
        self._room_each = room_each
        self._found: OrderedDict[str, list[AlertRecord]] = OrderedDict()

    def add(self, record: AlertRecord) -> None:
        """Take in a record that was published; one that was published again changes nothing."""
        known = self._found.setdefault(record.cascade, [])
        self._found.move_to_end(record.cascade)
        if all(record.id != one.id for one in known):
            known.append(record)
            del known[: -self._room_each]
        if len(self._found) > self._room:
            self._found.popitem(last=False)

    def of(self, cascade: str) -> Sequence[AlertRecord]:
        """What was said of a post, in order."""
        return self._found.get(cascade, ())

    def open_rules(self, cascade: str) -> list[str]:
        """Rules of which an alert is open, the one opened last first."""
        open_alerts: dict[str, str] = {}
        for record in self.of(cascade):
            open_alerts.pop(record.alert, None)
            if record.state is not AlertState.RESOLVED:
                open_alerts[record.alert] = record.rule
        return list(reversed(open_alerts.values()))
