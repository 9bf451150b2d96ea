"""What people read of an alert: short lines without anything that could mislead the eye."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from typing import Final

from streams.alerts.records import AlertRecord, AlertState

MAX_ID_CHARACTERS: Final = 80
"""Of an id or a reason's word within a line; ids may have 1,024 bytes."""

MAX_REASON_CHARACTERS: Final = 600

_TOLD: Final = {AlertState.OPENED: "opened", AlertState.UPDATED: "goes on", AlertState.RESOLVED: "is over"}


def plain(text: str, most: int = MAX_ID_CHARACTERS) -> str:
    """Text of others as one line of at most ``most`` characters.

    Controls, and characters that are not seen or turn the direction of what follows (Unicode's categories C and
    Z other than the space), show as U+FFFD.

    >>> plain("a\\u202eb")
    'a\ufffdb'
    """
    shown = "".join("\ufffd" if unicodedata.category(one)[0] in "CZ" and one != " " else one for one in text)
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def size(number: float) -> str:
    """A size as people write it: 12,346."""
    return f"{number:,.0f}"


def duration(seconds: float) -> str:
    """The two largest units that are not nothing: 2 h 5 min."""
    left = max(0, round(seconds))
    parts = []
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, length)
        if count:
            parts.append(f"{count} {unit}")
        elif parts:
            break
        if len(parts) == 2:
            break
    return " ".join(parts) or "0 s"


def clock(seconds: float) -> str:
    """A time as date and time of day, UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def rfc3339(seconds: float) -> str:
    """A time as Alertmanager reads it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def summary(record: AlertRecord) -> str:
    """One line: which rule, what happened, which post, how large."""
    return (
        f"{plain(record.rule)} {_TOLD[record.state]}: post {plain(record.cascade)}, {size(record.observed)} so far, "
        f"{size(record.expected)} expected"
    )


def description(record: AlertRecord, late_by: float | None) -> str:
    """All that is known, as sentences."""
    source = f" on {plain(record.source)}" if record.source else ""
    followers = f", whose author has {size(record.followers)} followers" if record.followers is not None else ""
    late = f"Delivered late: it was raised {duration(late_by)} ago. " if late_by is not None else ""
    return (
        f"{late}Post {plain(record.cascade)}{source}{followers}: {size(record.observed)} reposts and quotes after "
        f"{duration(record.age_seconds)}, {size(record.expected)} expected after {duration(record.horizon_seconds)} "
        f"(between {size(record.low)} and {size(record.high)}). {plain(record.reason, MAX_REASON_CHARACTERS)} "
        f"(Rule {plain(record.rule)}, open since {clock(record.opened_as_of)}, as of {clock(record.as_of)}, "
        f"by {plain(record.model)} {plain(record.model_version)}.)"
    )
