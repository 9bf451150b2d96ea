"""Which stored model a name means: ``name``, ``name@version``, ``name@champion`` or ``name@challenger``.

Two stores are searched: the user's (``CASCADECAST_MODELS_DIR``, default ``./models``), then the weights shipped in this
package.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

from forecasters.base import Forecaster
from forecasters.errors import ModelStoreError
from forecasters.model_files import checked_name
from forecasters.model_store import SHIPPED_WEIGHTS, ModelStore, StoredModel, checked_alias
from forecasters.promotions import ALIASES


def user_store_directory() -> Path:
    """Where the user's models live: ``CASCADECAST_MODELS_DIR``, else ``models`` in the working directory."""
    return Path(os.environ.get("CASCADECAST_MODELS_DIR") or "models")


def default_stores(directory: Path | None = None) -> list[ModelStore]:
    """The user's store (or ``directory``), then the shipped one."""
    return [ModelStore(directory or user_store_directory()), ModelStore(SHIPPED_WEIGHTS, shipped=True)]


def find_model(spec: str, directory: Path | None = None) -> StoredModel | None:
    """The stored model that ``name``, ``name@version`` or ``name@champion`` means, or None for a bare,
    unstored name.

    A bare name means its champion as promoted last, in the user's store if one was promoted there, else the newest
    shipped version. Raises `ModelStoreError` for a bad name, or a version or alias that no store has.
    """
    tenures = find_tenures(spec, directory)
    return tenures[-1][1] if tenures else None


def find_tenures(spec: str, directory: Path | None = None) -> tuple[tuple[float, StoredModel], ...]:
    """As `find_model`, with what counts before a promotion that was given an event time.

    (event time from which on, version), ascending, the first for all earlier times; empty for a bare, unstored name.
    """
    name, _, wanted = spec.partition("@")
    checked_name(name)
    stores = default_stores(directory)
    for store in stores:
        if wanted and wanted not in ALIASES:
            if wanted in store.versions(name):
                return ((-math.inf, store.get(name, wanted)),)
        elif tenures := store.tenures(name, wanted or "champion"):
            return tenures
    if wanted in ("", "champion"):
        shipped = stores[-1].versions(name)
        if shipped:
            return ((-math.inf, stores[-1].get(name, shipped[-1])),)
    if not wanted:
        return ()
    places = " and ".join(str(store.root) for store in stores)
    raise ModelStoreError(f"no model {spec!r} in {places}; 'cascadecast models list' shows what there is")


def find_alias(name: str, alias: str, directory: Path | None = None) -> tuple[float, StoredModel] | None:
    """What an alias means, as promoted last: (event time from which on, version); None where it means nothing."""
    checked_alias(alias)
    if alias == "champion":
        tenures = find_tenures(name, directory)
    else:
        tenures = next((t for store in default_stores(directory) if (t := store.tenures(name, alias))), ())
    return tenures[-1] if tenures else None


def load_forecaster(spec: str, directory: Path | None = None) -> Forecaster:
    """Load a model by ``name``, ``name@version``, ``name@champion`` or ``name@challenger``.

    A training-free forecaster needs no stored version. Raises `ModelStoreError` for one that must be trained
    first, and for an unknown name.
    """
    from forecasters.registry import forecaster_class

    found = find_model(spec, directory)
    if found is not None:
        return found.load()
    kind = forecaster_class(spec)
    if kind.needs_training:
        raise ModelStoreError(f"{spec} has not been trained; run 'cascadecast train {spec} --data FILE' first")
    return kind()
