"""How the user leaves: one signal ends the demo, further ones do not break off its cleaning up."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final


class Leave(BaseException):
    """A signal asks to end. Not an Exception: nothing on the way out may take it for a fault."""


class Departure:
    """Turns the first SIGINT, SIGTERM or SIGHUP into `Leave`, and none once the end has begun."""

    SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.asked_by: int | None = None
        self._ending = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """While the demo runs; what was set before is put back."""
        before = {number: signal.signal(number, self._note) for number in self.SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def begin_to_end(self) -> None:
        """From now on a second Ctrl-C does not break off the cleaning up."""
        self._ending = True

    def check(self) -> None:
        """Raise `Leave` again if the first one was lost, as one raised inside a callback is."""
        if self.asked_by is not None:
            raise Leave

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        if not self._ending and self.asked_by is None:
            self.asked_by = number
            raise Leave
