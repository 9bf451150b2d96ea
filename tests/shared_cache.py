"""Where tests keep what they fetched once for all: in the user's cache, shared by test processes side by side."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_home() -> Path:
    """The project's own folder in the user's cache, which may not exist yet."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "cascadecast"


@contextmanager
def only_one(lock: Path) -> Iterator[None]:
    """Hold the lock file, made with its folder: one process fetches, the others wait."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
