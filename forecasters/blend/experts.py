"""The experts of a blend: which, in which version, and how they are written down and found again."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasters.base import Forecaster
from forecasters.errors import ModelStoreError
from forecasters.model_files import checked_name, within
from forecasters.model_lookup import find_model
from forecasters.model_store import SHIPPED_WEIGHTS, ModelStore
from forecasters.registry import forecaster_class, forecaster_names, new_forecaster


@dataclass(slots=True)
class Expert:
    """A forecaster inside a blend. A ``stored`` one is fitted and stays as it is; any other is fitted with the
    blend."""

    forecaster: Forecaster
    stored: bool
    spec: str = ""
    """``name`` or ``name:variant`` of one that is to be fitted with the blend."""
    trained_on: frozenset[str] = frozenset()
    """Hashes of the files that a stored one was trained on."""

    @property
    def key(self) -> str:
        """``name@version``: what its scores are kept under."""
        return f"{self.forecaster.name}@{self.forecaster.version}"


def default_names() -> list[str]:
    """The forecasters with shipped weights, in the order of tables."""
    shipped = set(ModelStore(SHIPPED_WEIGHTS, shipped=True).names())
    return [name for name in forecaster_names() if name in shipped and name != "blend"]


def fresh_experts(specs: Sequence[str] | None = None) -> list[Expert]:
    """Untrained experts, to be fitted with the blend; by default one of each name with shipped weights."""
    chosen = default_names() if specs is None else specs
    return [Expert(new_forecaster(spec), stored=False, spec=spec) for spec in chosen]


def stored_experts(specs: Sequence[str] | None = None, directory: Path | None = None) -> list[Expert]:
    """Experts as they lie in the model store, pinned to the versions that ``specs`` mean now.

    Raises `ModelStoreError` for one that no store has.
    """
    found = []
    for spec in default_names() if specs is None else specs:
        model = find_model(spec, directory)
        if model is None:
            raise ModelStoreError(f"{spec} is not stored, so a blend cannot rest on it; train it first")
        found.append(Expert(model.load(), stored=True, trained_on=model.trained_on()))
    return found


def checked(experts: Sequence[Expert]) -> list[Expert]:
    """At least one expert, none of them twice, none of them a blend; raises `ModelStoreError` otherwise."""
    names = [expert.forecaster.name for expert in experts]
    if not names or "blend" in names or len(set(names)) < len(names):
        raise ModelStoreError(
            f"a blend needs different experts, none of them a blend; got {', '.join(names) or 'none'}"
        )
    return list(experts)


def starting_shares(experts: Sequence[Expert]) -> NDArray[np.float64]:
    """What each weighs before any case has shown what it is worth, (E,), in all 1.

    All that were trained weigh the same, those that were not nothing, unless all are of them. Of several of one kind
    the first speaks for all: experts are listed from the cheap to the costly.
    """
    trained = [n for n, expert in enumerate(experts) if expert.forecaster.needs_training] or list(range(len(experts)))
    shares = np.zeros(len(experts))
    speaker: dict[str, int] = {}
    for number in trained:
        kind = experts[number].forecaster.kind
        shares[speaker.setdefault(kind, number) if kind else number] += 1.0 / len(trained)
    return shares


def save_experts(experts: Sequence[Expert], directory: Path) -> list[dict[str, Any]]:
    """What config.json says of them; the files of those that are in no store are put beside it, by a prefix."""
    entries = []
    for number, expert in enumerate(experts):
        entry: dict[str, Any] = {"name": expert.forecaster.name, "version": expert.forecaster.version}
        if not expert.stored:
            with tempfile.TemporaryDirectory() as aside:
                expert.forecaster.save(Path(aside))
                entry["files"] = sorted(path.name for path in Path(aside).iterdir())
                for name in entry["files"]:
                    shutil.copyfile(Path(aside) / name, directory / _own_file(number, name))
        entries.append(entry)
    return entries


def load_experts(entries: Sequence[dict[str, Any]], directory: Path) -> list[Expert]:
    """Read back `save_experts`: own files first, else the pinned version from the store the blend lies in, the user's,
    or the shipped one. Raises `ModelStoreError` naming what is missing; KeyError or TypeError for damaged entries."""
    return checked([_load(number, entry, directory) for number, entry in enumerate(entries)])


def _load(number: int, entry: dict[str, Any], directory: Path) -> Expert:
    name, version, files = str(entry["name"]), str(entry["version"]), entry.get("files")
    if files is None:
        return Expert(_pinned(name, version, directory), stored=True)
    with tempfile.TemporaryDirectory() as aside:
        for file in files:
            checked_name(file, "file of a model")  # it comes from config.json, which may be anybody's
            own_file = within(directory, directory / _own_file(number, file))
            try:
                shutil.copyfile(own_file, Path(aside) / file)
            except OSError as error:
                raise ModelStoreError(
                    f"{directory / _own_file(number, file)}: {error.strerror}; train again or restore it"
                ) from error
        try:
            forecaster = forecaster_class(name).load(Path(aside))
        except ModelStoreError as error:
            own = f"{directory / _own_file(number, '')}"
            raise ModelStoreError(str(error).replace(f"{aside}/", own)) from error
    forecaster.version = version
    return Expert(forecaster, stored=False)


def _pinned(name: str, version: str, directory: Path) -> Forecaster:
    places = (directory.absolute().parent.parent, None)  # <store>/blend/<version>; None is the user's own store
    for place in places:
        try:
            found = find_model(f"{name}@{version}", place)
        except ModelStoreError:
            continue
        if found is not None:
            return found.load()
    raise ModelStoreError(
        f"{directory}: this blend rests on {name} {version}, which is in no model store; restore that version, or fit "
        "the blend again"
    )


def _own_file(number: int, name: str) -> str:
    return f"expert-{number}-{name}"
