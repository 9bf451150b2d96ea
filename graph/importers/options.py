"""What a format leaves open, and the checks all importers share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec

from graph.event_files import EventFileError
from graph.events import Event, Rejected, decode_event

UNIT_SECONDS: Final[dict[str, float]] = {"seconds": 1.0, "minutes": 60.0, "hours": 3600.0, "days": 86_400.0}


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """Options of `import_events`; each format reads those that concern it."""

    time_unit: Literal["seconds", "minutes", "hours", "days"] = "seconds"
    """Of the delays of casflow and deephawkes files: days in their citation data."""

    columns: Mapping[str, str] = field(default_factory=dict)
    """csv: key of an event -> name of its column, where they differ."""

    delimiter: str | None = None
    """csv: between columns; None takes the one of comma, tab and semicolon that the header has most of."""

    source: str | None = None
    """Written as ``source`` into every event that names none."""


_LONGEST_QUOTED: Final = 400


def line_error(path: str, number: int, reason: str, mend: str) -> EventFileError:
    """The error of one line; what it quotes of the line is cut where it is long."""
    return EventFileError(f"{path}:{number}: {_cut(reason)}; {_cut(mend)}")


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_QUOTED else text[:_LONGEST_QUOTED] + "..."


def text_of(path: str, number: int, line: bytes) -> str:
    """The line as text, without a byte order mark."""
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r")
    except UnicodeDecodeError as error:
        raise line_error(path, number, f"not UTF-8 at byte {error.start + 1}", "convert the file to UTF-8") from None


def checked_event(path: str, number: int, content: dict[str, Any]) -> Event:
    """An event from its keys; empty ones left out. Raises `EventFileError` naming what is wrong with it."""
    event = decode_event(msgspec.json.encode({key: value for key, value in content.items() if value is not None}))
    if isinstance(event, Rejected):
        raise line_error(path, number, f"{event.reason.value}: {event.message}", "mend the line, or leave it out")
    return event


def delay_seconds(path: str, number: int, text: str, unit_seconds: float) -> float:
    """A delay in seconds."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise line_error(
            path, number, f"{text!r} is not a time", "give a number after the colon, the time since the root"
        )
    return value * unit_seconds


def instant(text: str) -> float | None:
    """Seconds since the epoch of a number or an ISO 8601 date (UTC unless it says otherwise); None if
    neither."""
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text.strip())
        except ValueError:
            return None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return seconds if math.isfinite(seconds) else None
