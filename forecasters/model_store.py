"""Models on disk: ``<store>/<name>/<version>/`` with config.json, tensors and card.md, and the aliases of
each name.

A version appears whole or not at all (written aside, then renamed) and never changes
afterwards; which one is the champion is told by `forecasters.promotions`. A user's store may promote a shipped version
too, and no version of its own may be called as a shipped one is: the ids of forecasts rest on name and version.
"""

from __future__ import annotations

import math
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from forecasters.base import Forecaster
from forecasters.errors import ModelStoreError
from forecasters.model_files import CARD_FILE, CONFIG_FILE, NAME, checked_name, read_config, within, write_config
from forecasters.promotions import ALIASES, Promotion, Promotions, changing, replace_text

SHIPPED_WEIGHTS: Final = Path(__file__).parent / "weights"


class Storable(Protocol):
    """A forecaster, or a ranker."""

    @property
    def name(self) -> str:
        """What the store calls it."""

    version: str

    def save(self, directory: Path) -> None:
        """Write its files into an existing directory."""


@dataclass(frozen=True, slots=True)
class StoredModel:
    """One version of one model, where it lies and what it is called."""

    name: str
    version: str
    directory: Path
    shipped: bool
    aliases: tuple[str, ...]

    def config(self) -> dict[str, Any]:
        """Its config.json."""
        return read_config(self.directory, self.name)

    def card(self) -> str:
        """Its card.md, empty when it has none."""
        path = self.directory / CARD_FILE
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    def trained_on(self) -> frozenset[str]:
        """Hashes of the files it was trained on, as far as its training wrote them down."""
        files = (self.config().get("training") or {}).get("data")
        return frozenset(str(file["xxh3_128"]) for file in files) if isinstance(files, list) else frozenset()

    def load(self) -> Forecaster:
        """The forecaster, ready to forecast."""
        from forecasters.registry import forecaster_class

        forecaster = forecaster_class(self.name).load(self.directory)
        forecaster.version = self.version
        return forecaster


class ModelStore:
    """One directory of models. ``shipped`` stores are read only."""

    def __init__(self, root: Path, *, shipped: bool = False) -> None:
        self.root = root
        self.shipped = shipped
        own = shipped or root.resolve() == SHIPPED_WEIGHTS.resolve()
        self._behind = None if own else ModelStore(SHIPPED_WEIGHTS, shipped=True)

    def names(self) -> list[str]:
        """The models that have at least one version."""
        if not self.root.is_dir():
            return []
        return sorted(
            path.name for path in self.root.iterdir() if NAME.fullmatch(path.name) and self.versions(path.name)
        )

    def versions(self, name: str) -> list[str]:
        """Versions of ``name``, oldest first (numbers in names compare as numbers: 9 before 10)."""
        folder = self.root / checked_name(name)
        if not folder.is_dir():
            return []
        found = [p.name for p in folder.iterdir() if NAME.fullmatch(p.name) and (p / CONFIG_FILE).is_file()]
        return sorted(found, key=_natural)

    def aliases(self, name: str) -> dict[str, str]:
        """alias -> version, as promoted last; one whose version is gone means nothing."""
        promoted = self.promotions(name).aliases
        return {alias: version for alias, version in promoted.items() if self._holder(name, version) is not None}

    def promotions(self, name: str) -> Promotions:
        """All that was decided about ``name``; raises `ModelStoreError` naming a damaged file."""
        return Promotions.read(self.root / checked_name(name))

    def tenures(self, name: str, alias: str) -> tuple[tuple[float, StoredModel], ...]:
        """The versions that ``alias`` means, each from an event time on, ascending; empty where it means none."""
        return tuple(
            (since, self.get(name, version))
            for since, version in self.promotions(name).tenures(alias)
            if self._holder(name, version) is not None
        )

    def _holder(self, name: str, version: str) -> ModelStore | None:
        """The store that has a version: this one, or the shipped one behind it."""
        return next((store for store in (self, self._behind) if store and version in store.versions(name)), None)

    def get(self, name: str, version: str) -> StoredModel:
        """One version (or the one an alias names), also a shipped one; raises `ModelStoreError` that lists what there
        is."""
        aliases = self.aliases(name)
        wanted = aliases.get(version, version)
        checked_name(wanted, "version")
        holder = self._holder(name, wanted)
        if holder is None:
            listed = ", ".join(self.versions(name)) or "none"
            shipped = ", ".join(self._behind.versions(name)) if self._behind else ""
            also = f"; shipped: {shipped}" if shipped else ""
            raise ModelStoreError(f"{self.root}: {name} has no version or alias {version!r} (versions: {listed}{also})")
        called = tuple(alias for alias, target in sorted(aliases.items()) if target == wanted)
        directory = within(holder.root, holder.root / name / wanted)
        return StoredModel(name, wanted, directory, holder.shipped, called)

    def next_version(self, name: str) -> str:
        """The smallest whole number above all numeric versions, the shipped ones too, as text."""
        there = [*self.versions(name), *(self._behind.versions(name) if self._behind else ())]
        return str(1 + max((int(v) for v in there if v.isdecimal()), default=0))

    def publish(
        self,
        model: Storable,
        *,
        version: str | None = None,
        training: dict[str, Any] | None = None,
        card: Callable[[StoredModel], str] | str = "",
    ) -> StoredModel:
        """Write ``model`` as a new version; ``training`` (data, protocol, seed, cost) joins its
        config.json.

        The first version of a name becomes its champion. Raises `ModelStoreError` when the version exists.
        """
        self._must_be_writable()
        name = checked_name(model.name)
        version = checked_name(version or self.next_version(name), "version")
        if version in ALIASES:
            raise ModelStoreError(f"{version} is an alias; choose another --version")
        target = self.root / name / version
        taken = f"{target} exists; versions never change, so choose another --version"
        if target.exists():
            raise ModelStoreError(taken)
        if self._behind is not None and version in self._behind.versions(name):
            raise ModelStoreError(f"{name} {version} is a shipped version; choose another --version")
        target.parent.mkdir(parents=True, exist_ok=True)
        model.version = version
        aside = Path(tempfile.mkdtemp(prefix=".writing-", dir=target.parent))
        try:
            model.save(aside)
            if training is not None:
                config = read_config(aside, name)
                config.pop("format")
                write_config(aside, {**config, "version": version, "training": training})
            stored = StoredModel(name, version, target, self.shipped, ())
            text = card(stored) if callable(card) else card
            replace_text(aside / CARD_FILE, text)
            aside.chmod(0o755)  # mkdtemp's 0700 would hide the model from a worker under another account
            try:
                aside.rename(target)
            except OSError as error:
                raise ModelStoreError(taken if target.exists() else f"{target}: {error.strerror}") from error
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        if "champion" not in self.aliases(name):
            self.promote(name, version)
        return self.get(name, version)

    def promote(self, name: str, version: str, alias: str = "champion", *, since: float | None = None) -> StoredModel:
        """Let ``alias`` name ``version``, from event time ``since`` on or else at once; a shipped version too.

        The step is kept so that `rollback` can undo it. Raises `ModelStoreError` that lists what there is.
        """
        self._must_be_writable()
        checked_alias(alias)
        model = self.get(name, version)
        folder = self.root / name
        with changing(folder):
            promotions = self.promotions(name)
            step = Promotion(alias, model.version, self._meant(name, alias), -math.inf if since is None else since)
            promotions.promoted(step).write(folder)
        return self.get(name, model.version)

    def rollback(self, name: str, alias: str = "champion") -> StoredModel | None:
        """Undo the last promotion of ``alias``. None when there is no challenger then; raises `ModelStoreError` when
        there would be no champion."""
        self._must_be_writable()
        checked_alias(alias)
        if not self.promotions(name).history:
            raise ModelStoreError(f"{self.root}: {name} has had no earlier {alias} to go back to")
        folder = self.root / name
        with changing(folder):
            undone = self.promotions(name).rolled_back(alias)
            if undone is None or (alias == "champion" and alias not in undone.aliases):
                raise ModelStoreError(f"{self.root}: {name} has had no earlier {alias} to go back to")
            model = self.get(name, undone.aliases[alias]) if alias in undone.aliases else None
            undone.write(folder)
        return None if model is None else self.get(name, model.version)

    def _meant(self, name: str, alias: str) -> str | None:
        """The version that an alias means, here or, where nothing was promoted here, among the shipped."""
        stores = [self, *([self._behind] if self._behind else [])]
        return next((store.aliases(name)[alias] for store in stores if alias in store.aliases(name)), None)

    def _must_be_writable(self) -> None:
        if self.shipped:
            raise ModelStoreError(f"{self.root} holds shipped models and is read only; use a store of your own")


def checked_alias(alias: str) -> None:
    """Raises `ModelStoreError` for anything but champion and challenger."""
    if alias not in ALIASES:
        raise ModelStoreError(f"unknown alias {alias!r}; use one of {', '.join(ALIASES)}")


def _natural(version: str) -> list[tuple[int, int, str]]:
    """Sort key in which runs of digits compare as numbers."""
    return [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in re.split(r"(\d+)", version) if part]
