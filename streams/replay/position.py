"""How far a replay came: counted in records acknowledged without a gap, kept in a small file beside the input."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from graph.errors import UserError


class PositionError(UserError):
    """A position file is unreadable, or belongs to another replay."""


class Position(msgspec.Struct, frozen=True):
    """Which replay this is, and how many of its records, in its order, Kafka has acknowledged."""

    source: str
    source_bytes: int
    topic: str
    fold_seconds: float | None
    in_order: bool
    raw: bool
    acknowledged: int = 0
    complete: bool = False


def load_position(path: Path, fresh: Position) -> Position:
    """The position to go on from: ``fresh`` when there is no file yet.

    Raises `PositionError` when the file is damaged or was made by a replay of other input, order or topic, whose
    count would mean other records.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Position)
    except FileNotFoundError:
        return fresh
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PositionError(f"{path}: not a readable position ({error}): remove it to begin anew") from None
    for field in ("source", "source_bytes", "topic", "fold_seconds", "in_order", "raw"):
        was, now = getattr(found, field), getattr(fresh, field)
        if was != now:
            raise PositionError(
                f"{path} belongs to another replay ({field} {was!r:.200}, now {now!r:.200}): "
                "repeat it as it was, remove the file, or name another with --position"
            )
    return found


def save_position(path: Path, position: Position) -> None:
    """Write the position, whole or not at all."""
    scratch = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        scratch.write_bytes(msgspec.json.encode(position) + b"\n")
        scratch.replace(path)
    except OSError as error:
        raise PositionError(f"{path}: cannot be written ({error.strerror}): name another with --position") from None
