"""Local copies of state that turned out to be damaged, and are made anew from the changelog at the next start: once.

A copy may lack records that the changelog has: a disk that lost a write, or a reader of the changelog that passed some
over. Then the worker ends, and its next start removes the copy, so that all of it is read again. Where that is damaged
too the changelog is, and no further start would mend it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

log = structlog.get_logger("cascadecast.state")

_DIRECTORY: Final = "distrusted"
_REMOVED: Final = ".removed"


class Distrust:
    """Of a worker's copies by the number of their partition; remembered beside them, under ``directory``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory / _DIRECTORY

    def note(self, partition: int) -> None:
        """Its copy is damaged."""
        if not self._removed(partition).exists():
            self._directory.mkdir(parents=True, exist_ok=True)
            self._noted(partition).touch()

    def forget(self, partition: int) -> None:
        """Its copy is whole."""
        self._noted(partition).unlink(missing_ok=True)
        self._removed(partition).unlink(missing_ok=True)

    def was_removed(self, partition: int) -> bool:
        """Whether its copy was made anew by this start of the worker, and nobody has said since that it is whole."""
        return self._removed(partition).exists()

    def remove_copies(self, copy_of: Callable[[int], Path]) -> list[int]:
        """Remove the copies that are not trusted, before anything opens them; returns their partitions."""
        numbers = sorted(int(noted.name) for noted in self._directory.glob("*") if noted.name.isdecimal())
        for number in numbers:
            shutil.rmtree(copy_of(number), ignore_errors=True)
            self._noted(number).replace(self._removed(number))
            log.warning("the local copy of a partition's state was damaged; reading the changelog", partition=number)
        return numbers

    def _noted(self, partition: int) -> Path:
        return self._directory / str(partition)

    def _removed(self, partition: int) -> Path:
        return self._directory / f"{partition}{_REMOVED}"
