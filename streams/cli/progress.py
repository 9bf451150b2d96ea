"""Progress on a terminal, silence in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

T = TypeVar("T")

UPDATE_EVERY = 256
"""Items between two updates of the display: seeing each would cost more than most items do."""


class Ticker:
    """Counts what flows through its iterators and shows it."""

    def __init__(self, progress: Progress | None, names: Iterable[str]) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}
        if progress is not None:
            self._tasks = {name: progress.add_task(name, total=None) for name in names}

    def advance(self, name: str, count: int) -> None:
        """Count so many more under ``name``."""
        if self._progress is not None:
            self._progress.advance(self._tasks[name], count)

    def show(self, **counts: int) -> None:
        """Show these counts as they are now."""
        if self._progress is not None:
            for name, count in counts.items():
                self._progress.update(self._tasks[name], completed=count)

    def through(self, name: str, items: Iterable[T]) -> Iterator[T]:
        """Yield the items, counting them under ``name``."""
        count = 0
        for item in items:
            count += 1
            if self._progress is not None and not count % UPDATE_EVERY:
                self._progress.update(self._tasks[name], completed=count)
            yield item
        if self._progress is not None:
            self._progress.update(self._tasks[name], completed=count)


@contextmanager
def counting(*names: str) -> Iterator[Ticker]:
    """Show running counts of unknown totals on standard error while the block runs."""
    if not sys.stderr.isatty():
        yield Ticker(None, names)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn("{task.completed:,.0f}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield Ticker(progress, names)


@contextmanager
def progress_bar() -> Iterator[Callable[[float, str], None] | None]:
    """A bar on a terminal that says what is at work; None in a pipe."""
    if not sys.stderr.isatty():
        yield None
        return
    with Progress(console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("evaluating", total=1.0)
        yield lambda share, text: shown.update(task, completed=share, description=text)
