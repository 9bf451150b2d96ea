"""Durations as people write them: ``90s``, ``30m``, ``1h``, ``1.5d``, ``3600``."""

from __future__ import annotations

import math
import re
from typing import Final

import numpy as np

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


def format_duration(seconds: float) -> str:
    """The shortest usual way to write a duration; `parse_duration` reads it back to the same number.

    >>> format_duration(1800.0), format_duration(86_400.0), format_duration(2_764_800.0), format_duration(90.5)
    ('30m', '24h', '32d', '90.5s')
    """
    for unit, least in (("d", 2 * 86_400.0), ("h", 3600.0), ("m", 60.0)):
        count = seconds / _UNITS[unit]
        if seconds >= least and count.is_integer():
            return f"{count:.0f}{unit}"
    # positional digits: parse_duration knows no exponents
    return np.format_float_positional(seconds, trim="-") + "s"
