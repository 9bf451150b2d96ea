"""Which version of a model is champion or challenger: the promotions on disk, and what they mean at an event time.

A promotion counts from an event time on, or without one at once and for all times. Later promotions win over earlier
ones from their time on. The file is replaced whole, so that any number of workers may read it at any moment, and
written under a lock, so that of two people who promote at once neither is forgotten.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from forecasters.errors import ModelStoreError

ALIASES: Final = ("champion", "challenger")
ALIASES_FILE: Final = "aliases.json"
LOCK_FILE: Final = ".aliases.lock"

Tenures = tuple[tuple[float, str], ...]
"""(event time from which on, version), ascending; -inf for always."""


@dataclass(frozen=True, slots=True)
class Promotion:
    """One step of the history: ``alias`` means ``version`` for forecasts as of ``since`` or later."""

    alias: str
    version: str
    previous: str | None  # what the alias meant before
    since: float = -math.inf

    def to_json(self) -> dict[str, Any]:
        """Its form in the file; ``from`` is left out where it counts for all times."""
        step = {"alias": self.alias, "version": self.version, "previous": self.previous}
        return step if self.since == -math.inf else {**step, "from": self.since}

    @classmethod
    def from_json(cls, step: dict[str, Any]) -> Self:
        """Raises KeyError, TypeError or ValueError for what `to_json` never wrote."""
        previous = step.get("previous")
        since = float(step.get("from", -math.inf))
        if math.isnan(since):
            raise ValueError("a promotion counts from no time")
        return cls(str(step["alias"]), str(step["version"]), None if previous is None else str(previous), since)


@dataclass(frozen=True, slots=True)
class Promotions:
    """All that was decided about one model: what each alias means now, and the steps that led there."""

    aliases: dict[str, str]
    history: tuple[Promotion, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Of the model whose versions lie in ``folder``; raises `ModelStoreError` naming a damaged file."""
        path = folder / ALIASES_FILE
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            aliases = {str(alias): str(version) for alias, version in found.get("aliases", {}).items()}
            return cls(aliases, tuple(Promotion.from_json(step) for step in found.get("history", [])))
        except (FileNotFoundError, NotADirectoryError):
            return cls({})
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            why = repr(error)[:200]  # it may quote the file
            raise ModelStoreError(f"{path}: damaged ({why}); restore it, or delete it and promote again") from error

    def write(self, folder: Path) -> None:
        """Replace the file; a reader sees the old one or the new one, whole."""
        steps = [step.to_json() for step in self.history]
        text = json.dumps({"aliases": self.aliases, "history": steps}, indent=2, allow_nan=False)
        replace_text(folder / ALIASES_FILE, text + "\n")

    def tenures(self, alias: str) -> Tenures:
        """Which versions ``alias`` means, and from which event times on; empty where it means none."""
        steps = [step for step in self.history if step.alias == alias]
        current = self.aliases.get(alias)
        if current is None:
            return ()
        if not steps or steps[-1].version != current:  # edited by hand: what stands there counts
            return ((-math.inf, current),)
        found: list[tuple[float, str]] = []
        for step in reversed(steps):
            if not found or step.since < found[-1][0]:
                found.append((step.since, step.version))
            if step.since == -math.inf:
                break
        else:
            if steps[0].previous is not None:
                found.append((-math.inf, steps[0].previous))
        return tuple(reversed(found))

    def promoted(self, step: Promotion) -> Promotions:
        """With one more step."""
        return Promotions({**self.aliases, step.alias: step.version}, (*self.history, step))

    def rolled_back(self, alias: str) -> Promotions | None:
        """Without the last step of ``alias``; None where there is none to undo."""
        last = next((i for i in reversed(range(len(self.history))) if self.history[i].alias == alias), None)
        if last is None:
            return None
        aliases = {name: version for name, version in self.aliases.items() if name != alias}
        previous = self.history[last].previous
        if previous is not None:
            aliases[alias] = previous
        return Promotions(aliases, self.history[:last] + self.history[last + 1 :])


@contextmanager
def changing(folder: Path) -> Iterator[None]:
    """Hold the model's lock; ``folder`` is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK_FILE).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def replace_text(path: Path, text: str) -> None:
    """Write and rename: a reader sees the old file or the new one, whole.

    The name aside is unique also where several machines share the directory and their processes' numbers coincide.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    aside = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        aside.chmod(0o644)  # mkstemp's 0600 would hide it from a worker under another account
        aside.replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            aside.unlink()
        raise
