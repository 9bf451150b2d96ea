"""Where the demo shows itself: the whole of a terminal, redrawn; or plain lines, every few seconds."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.status import Status
from rich.text import Text

from streams.demo.board import Board
from streams.demo.live_view import LiveView, Vitals

REDRAW_SECONDS: Final = 0.25
LINES_EVERY_SECONDS: Final = 5.0
ROWS_IN_LINES: Final = 5


class Display:
    """Steps of the start as lines, then the live view, then the last of it and the summary as lines."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()
        self._shown = -float("inf")
        self._live: Live | None = None
        self._status: Status | None = None
        self._explained = False  # lines tell once how to read them
        # FORCE_COLOR makes rich take a pipe for a terminal, but nobody can look at a screen in a pipe.
        self.full_screen = console.is_terminal and not console.is_dumb_terminal and console.file.isatty()

    def doing(self, what: str) -> None:
        """Say what is under way, until the next word; only where it can be taken back."""
        self.silence()
        if self.full_screen and not self._console.quiet:
            self._status = self._console.status(Text(what), spinner="line")
            self._status.start()

    def update(self, what: str) -> None:
        """Amend what `doing` said."""
        if self._status is not None:
            self._status.update(Text(what))

    def done(self, what: str) -> None:
        """Say what was reached, and when."""
        self.silence()
        elapsed = time.monotonic() - self._began
        self._console.print(Text.assemble((f"{elapsed:6.1f} s  ", "dim"), what), soft_wrap=True)

    def silence(self) -> None:
        """Take back what `doing` said."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """While the view is live; the terminal is as it was afterwards, whatever happens."""
        self.silence()
        if not self.full_screen:
            yield
            return
        with Live(
            console=self._console,
            screen=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        ) as self._live:
            try:
                yield
            finally:
                self._live = None

    def show(self, board: Board, vitals: Vitals) -> None:
        """Show the present, if enough time has passed since the last look."""
        now = time.monotonic()
        if now - self._shown < (REDRAW_SECONDS if self._live is not None else LINES_EVERY_SECONDS):
            return
        self._shown = now
        if self._live is not None:
            self._live.update(LiveView(board, vitals), refresh=True)
        else:
            self.show_lines(board, vitals)

    def show_lines(self, board: Board, vitals: Vitals) -> None:
        """The first few posts as plain lines."""
        self._console.print(LiveView(board, vitals, rows=ROWS_IN_LINES, footer=not self._explained))
        self._explained = True
        self._console.print()


def picture(board: Board, vitals: Vitals, *, width: int = 112, height: int = 30) -> str:
    """The view as an SVG document."""
    console = Console(
        record=True, width=width, height=height, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    console.print(LiveView(board, vitals), height=height)
    return console.export_svg(title="cascadecast demo")
