"""Read the targets file and the secrets it names; whatever is wrong is one line: file, key, mend."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from graph.errors import UserError
from streams.alerts.delivery.links import Links
from streams.alerts.delivery.targets import (
    AlertmanagerTarget,
    AnyTarget,
    SlackTarget,
    Target,
    WebhookTarget,
)

_MODELS: Final[dict[str, type[Target]]] = {
    "alertmanager": AlertmanagerTarget,
    "webhook": WebhookTarget,
    "slack": SlackTarget,
}

TargetName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9._-]{0,59}$")]
"""Part of the name of a consumer group."""


class TargetsError(UserError):
    """The targets file, or a secret it names, cannot be used."""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    links: dict[str, str] = {}
    targets: dict[TargetName, AnyTarget] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class NamedTarget:
    """A target, its name and the secrets it needs, which ``repr`` does not show."""

    name: str
    target: Target
    secrets: dict[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class TargetsFile:
    """All that the file says."""

    targets: tuple[NamedTarget, ...]
    links: Links


def read_targets(path: Path) -> TargetsFile:
    """Raises TargetsError naming the file and the key that is wrong."""
    try:
        stated = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TargetsError(f"{path}: cannot read the targets file: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise TargetsError(f"{path}: not valid TOML: {error}") from None
    try:
        found = _File.model_validate(stated)
    except ValidationError as error:
        raise TargetsError(f"{path}: {_first_fault(error, stated)}") from None
    try:
        links = Links.read(found.links)
    except ValueError as error:
        raise TargetsError(f"{path}: links.{error}") from None
    targets = tuple(
        NamedTarget(name, target, dict(_secrets(f"{path}: targets.{name}", target)))
        for name, target in found.targets.items()
    )
    return TargetsFile(targets, links)


def _first_fault(error: ValidationError, stated: dict[str, Any]) -> str:
    """Which key, what is wrong, and the mend; never the value, which may be a secret put in the wrong place."""
    fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = [str(part) for part in fault["loc"]]
    if place[0] == "targets" and len(place) > 2 and place[2] in _MODELS:
        del place[2]  # pydantic names the type there
    where = ".".join(place) or "file"
    kind = fault["type"]
    if kind == "extra_forbidden":
        return f"{where:.200}: {_mend(place, stated)}"
    if kind == "missing" and place == ["targets"]:
        return "there is no [targets.NAME] table: docs/alert-delivery.md shows some"
    if kind == "union_tag_not_found":
        return f"{where:.200}: type is missing: {', '.join(_MODELS)}"
    if kind == "union_tag_invalid":
        return f"{where:.200}: there is no such type: {', '.join(_MODELS)}"
    said = fault["msg"].removeprefix("Value error, ")
    return f"{where:.200}: {said}"


def _mend(place: list[str], stated: dict[str, Any]) -> str:
    """The mend of a key that is not known."""
    key = place[-1]
    if len(place) == 3:
        model = _MODELS[stated["targets"][place[1]]["type"]]
        for secret in model.secret_names:
            if key == secret:
                return f"a secret never stands in this file; give {secret}_file or {secret}_env"
        known = list(model.model_fields)
    else:
        known = list(_File.model_fields)
    near = get_close_matches(key, known, 1)
    hint = f"did you mean {near[0]}?" if near else "docs/alert-delivery.md lists them all"
    return f"there is no such key: {hint}"


def _secrets(where: str, target: Target) -> Iterator[tuple[str, str]]:
    """The secrets that the target names, read. Raises TargetsError for what cannot be read or is empty."""
    for name in target.secret_names:
        path, variable = getattr(target, f"{name}_file"), getattr(target, f"{name}_env")
        if path is not None and variable is not None:
            raise TargetsError(f"{where}: give {name}_file or {name}_env, not both")
        if path is not None:
            try:
                secret = path.read_text(encoding="utf-8")
            except (OSError, ValueError) as error:
                reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
                raise TargetsError(f"{where}.{name}_file: cannot read {path}: {reason}") from None
        elif variable is not None:
            secret = os.environ.get(variable, "")
        else:
            continue
        if not secret.strip():
            holder = path or f"the environment variable {variable}"
            raise TargetsError(f"{where}: {holder} is empty; it must hold the {name}")
        if name != "secret" and not secret.strip().isprintable():
            raise TargetsError(f"{where}: {path or variable} holds more than one line; it must hold the {name} alone")
        yield name, secret.strip()
