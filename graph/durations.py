"""Durations as people write them: ``90s``, ``30m``, ``1h``, ``1.5d``, ``3600``."""

from __future__ import annotations

import math
import re
from typing import Final

from graph.errors import UserError

_UNITS: Final = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_FORM: Final = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)\s*", re.ASCII)


class DurationError(UserError):
    """A text is not a duration."""


def parse_duration(text: str) -> float:
    """Seconds of a duration such as ``30m``; a bare number is seconds.

    >>> parse_duration("1h"), parse_duration("1.5d"), parse_duration("90")
    (3600.0, 129600.0, 90.0)

    Raises DurationError for anything else.
    """
    match = _FORM.fullmatch(text.lower())
    if match is None or match[2] not in _UNITS:
        raise DurationError(f"{text!r} is no duration; write a number and s, m, h, d or w, such as 30m or 24h")
    seconds = float(match[1]) * _UNITS[match[2]]
    if not math.isfinite(seconds) or seconds <= 0:
        raise DurationError(f"{text!r} is no duration above zero")
    return seconds
