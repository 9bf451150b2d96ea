"""Whole cascades from event files, for the commands that train and measure."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from forecasters.training_plan import DataFile
    from graph import Cascade


def load_cascades(paths: Sequence[Path], limit: int | None = None) -> list[Cascade]:
    """The cascades of event files, the first ``limit`` of each, with their labels; shows progress on a terminal.

    A cascade of several files counts once, as in the first of them, which is said on standard error. Raises
    `EventFileError`.
    """
    return load_data_files(paths, limit)[0]


def load_data_files(paths: Sequence[Path], limit: int | None = None) -> tuple[list[Cascade], list[DataFile]]:
    """As `load_cascades`, with what a card says of each file."""
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from forecasters.dataset import data_hash
    from forecasters.labels import read_labelled_cascades
    from forecasters.training_plan import DataFile

    found: dict[str, Cascade] = {}
    files = []
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        for path in paths:
            task = progress.add_task(f"reading {path.name}", total=None)

            def update(done: int, total: int | None, task: TaskID = task) -> None:
                progress.update(task, completed=done, total=total)

            cascades = read_labelled_cascades(path, progress=update)[:limit]
            again = sum(cascade.id in found for cascade in cascades)
            if again:
                say(f"{path}: {again} of its cascades are in an earlier file; they count once")
            for cascade in cascades:
                found.setdefault(cascade.id, cascade)
            # standard input has been read by now and leaves no file to hash
            hashed = data_hash([path]) if path.is_file() else "-"
            files.append(DataFile(path.name, hashed, len(cascades) - again))
    return list(found.values()), files


def say(text: str) -> None:
    """A notice on standard error, in a pipe too: what was left out changes the result."""
    sys.stderr.write(f"note: {text}\n")
