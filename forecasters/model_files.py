"""The files of one stored model: config.json, model.safetensors and card.md. Tensors are safetensors, never pickles."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from forecasters.errors import ModelStoreError
from forecasters.promotions import replace_text

FORMAT: Final = 1
"""Of config.json; raised when an older reader would misread a newer file."""

CONFIG_FILE: Final = "config.json"
TENSORS_FILE: Final = "model.safetensors"
CARD_FILE: Final = "card.md"

NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._+-]{0,62}[A-Za-z0-9])?")
"""Of models and versions: one plain path component."""


def checked_name(text: str, what: str = "model name") -> str:
    """``text`` if it can name a directory and nothing outside it; raises `ModelStoreError` otherwise."""
    if not NAME.fullmatch(text) or ".." in text:
        raise ModelStoreError(f"{text!r} is no {what}: use up to 64 letters, digits, or . _ + - between them")
    return text


def within(root: Path, path: Path) -> Path:
    """``path`` if it lies below ``root`` when all links are followed; raises `ModelStoreError` otherwise."""
    if not path.resolve().is_relative_to(root.resolve()):
        raise ModelStoreError(f"{path}: leads out of {root}; put the files themselves there")
    return path


def write_config(directory: Path, config: dict[str, Any]) -> None:
    """Write config.json; the format version is added here. Numbers must be finite."""
    text = json.dumps({"format": FORMAT, **config}, indent=2, allow_nan=False)
    replace_text(directory / CONFIG_FILE, text + "\n")


def read_config(directory: Path, forecaster: str | None = None) -> dict[str, Any]:
    """Read config.json; raises `ModelStoreError` when it is missing, damaged, too new, or of another
    forecaster."""
    path = within(directory, directory / CONFIG_FILE)
    config = _read_json(path)
    if config.get("format") != FORMAT:
        raise ModelStoreError(
            f"{path}: format {config.get('format')!r:.100}, this version reads {FORMAT}; upgrade or retrain"
        )
    if forecaster is not None and config.get("forecaster") != forecaster:
        raise ModelStoreError(f"{path}: holds a {config.get('forecaster')!r:.100} model, not {forecaster!r}")
    return config


def write_tensors(directory: Path, tensors: dict[str, NDArray[Any]]) -> None:
    """Write model.safetensors."""
    path = directory / TENSORS_FILE
    save_file({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, path)
    path.chmod(0o644)  # safetensors leaves it to its owner alone; a worker may run under another account


def read_tensors(directory: Path) -> dict[str, NDArray[Any]]:
    """Read model.safetensors; raises `ModelStoreError` when it is missing or damaged."""
    path = within(directory, directory / TENSORS_FILE)
    try:
        return dict(load_file(path))
    except FileNotFoundError as error:
        raise ModelStoreError(f"{path}: missing; train the model again or restore the file") from error
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelStoreError(f"{path}: damaged ({error}); train the model again or restore the file") from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelStoreError(f"{path}: missing; train the model again or restore the file") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelStoreError(f"{path}: cannot be read as JSON ({error}); restore the file") from error
    if not isinstance(found, dict):
        raise ModelStoreError(f"{path}: must hold a JSON object; restore the file")
    return found
