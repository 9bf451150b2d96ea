"""Every forecaster by name. Classes are imported when asked for: listing the names costs nothing."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from typing import Final

from forecasters.base import Forecaster
from forecasters.errors import ModelStoreError

_CLASSES: Final[dict[str, tuple[str, str]]] = {
    "mean": ("forecasters.mean", "MeanForecaster"),
    "log-linear": ("forecasters.log_linear", "LogLinearForecaster"),
    "ridge": ("forecasters.ridge", "RidgeForecaster"),
    "lightgbm": ("forecasters.gradient_boosting", "GradientBoostingForecaster"),
    "seismic": ("forecasters.seismic", "SeismicForecaster"),
    "hawkes": ("forecasters.hawkes", "HawkesForecaster"),
    "trees": ("forecasters.trees", "TreesForecaster"),
    "concat": ("forecasters.concat", "ConCatForecaster"),
    "casft": ("forecasters.casft", "CasFTForecaster"),
    "autocas": ("forecasters.autocas", "AutoCasForecaster"),
    "blend": ("forecasters.blend", "BlendForecaster"),
}
"""name -> (module, class), in the order in which tables show them."""

BASELINES: Final = ("mean", "log-linear", "ridge", "lightgbm", "seismic", "hawkes")
"""What every table has beside the neural forecasters; cheap enough to be fitted for each observation age."""

SEEDLESS: Final = frozenset(BASELINES) - {"lightgbm"}
"""What fits the same whatever the seed of the training, so that one fit serves all seeds of the same cases."""

PAPER: Final = "paper"
"""Variants of a paper's protocol begin with it: they are made for one observation age and horizon."""


def forecaster_names() -> list[str]:
    """All names, in the order of tables."""
    return list(_CLASSES)


def forecaster_specs() -> list[str]:
    """All names, each followed by its variants as ``name:variant``; imports every forecaster's module."""
    return [spec for name in _CLASSES for spec in (name, *(f"{name}:{v}" for v in forecaster_class(name).variants()))]


def parse_spec(spec: str) -> tuple[str, str | None]:
    """The name and the variant (None without one) of ``name`` or ``name:variant``.

    Raises `ModelStoreError` that lists the names, or the variants, for an unknown one.
    """
    name, colon, variant = spec.partition(":")
    known = forecaster_class(name).variants()
    if not colon:
        return name, None
    if variant not in known:
        there = f"its variants are {', '.join(known)}" if known else "it has no variants"
        raise ModelStoreError(f"unknown variant {variant!r} of {name!r}; {there}")
    return name, variant


def new_forecaster(spec: str) -> Forecaster:
    """An untrained forecaster: ``name`` for its form for any age, ``name:variant`` for one of its variants."""
    name, variant = parse_spec(spec)
    kind = forecaster_class(name)
    return kind() if variant is None else kind.variants()[variant]()


def answers_any_age(spec: str) -> bool:
    """Whether one fit of ``name`` or ``name:variant`` is meant for all ages, rather than for one of them."""
    name, variant = parse_spec(spec)
    return name not in BASELINES and not (variant or "").startswith(PAPER)


def forecaster_class(name: str) -> type[Forecaster]:
    """The class called ``name``; raises `ModelStoreError` that lists the names for an unknown one."""
    if name not in _CLASSES:
        raise ModelStoreError(f"unknown model {name!r}; the models are {', '.join(_CLASSES)}")
    module, attribute = _CLASSES[name]
    found: type[Forecaster] = getattr(importlib.import_module(module), attribute)
    return found


def missing_extra(name: str) -> str | None:
    """The install extra without which ``name`` cannot run here, or None."""
    return "train" if name in ("lightgbm", "trees") and find_spec("lightgbm") is None else None
