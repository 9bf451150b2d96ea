"""Numbers, ages and foreign ids as the live view writes them."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from typing import Final

from rich.cells import cell_len

REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"


def compact(value: float) -> str:
    """A count in at most six characters.

    >>> compact(0.4), compact(12_345.6), compact(123_456), compact(2_340_000), compact(1e9)
    ('0', '12,346', '123k', '2.34M', '1.00G')
    """
    if value < 99_999.5:
        return f"{value:,.0f}"
    for factor, unit in ((1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T")):
        scaled = value / factor
        if scaled < 999.5:
            digits = 2 if scaled < 9.995 else 1 if scaled < 99.95 else 0
            return f"{scaled:.{digits}f}{unit}"
    return ">999T"


def rate(value: float) -> str:
    """A growth per hour: small ones with one decimal.

    >>> rate(0.04), rate(3.21), rate(12.6), rate(1234.0)
    ('0.0', '3.2', '13', '1,234')
    """
    return f"{value:.1f}" if value < 9.95 else compact(value)


def age(seconds: float) -> str:
    """An age in at most six characters.

    >>> age(42), age(600), age(3 * 3600 + 120), age(10 * 86_400 + 3600)
    ('42s', '10m', '3h02m', '10d01h')
    """
    if seconds < 60:
        return f"{seconds:.0f}s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes}m"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours}h{minutes:02d}m"
    days, hours = divmod(hours, 24)
    return f"{days}d{hours:02d}h" if days < 1000 else f"{days}d"


def duration(seconds: float) -> str:
    """A configured duration without noughts.

    >>> duration(86_400), duration(5400), duration(90)
    ('24 h', '1.5 h', '1.5 min')
    """
    if seconds >= 3600:
        return f"{seconds / 3600:.4g} h"
    return f"{seconds / 60:.4g} min" if seconds >= 60 else f"{seconds:.4g} s"


def event_clock(time: float) -> str:
    """An event time as date and time of day, UTC; what no calendar holds as the bare number.

    >>> event_clock(1_700_000_000.4)
    '2023-11-14 22:13:20'
    """
    try:
        return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return f"{time:.0f}"


def identifier(text: str, columns: int, *, ascii_only: bool = False) -> str:
    """An id from outside in at most ``columns`` columns, with nothing in it that could steer a terminal.

    Control characters, direction marks, line and paragraph separators, marks that pile up on others and
    whatever is unassigned become a replacement character; what is too long loses its middle, since ids differ
    at the ends.

    >>> identifier("a" * 10 + "b" * 10, 9)
    'aaaa…bbbb'
    """
    # A hostile id has a thousand characters: no more of them are looked at than could be shown.
    if len(text) > 2 * columns:
        text = text[:columns] + text[-columns:]
        shortened = True
    else:
        shortened = False
    mark, gap = ("?", "~") if ascii_only else (REPLACEMENT, "…")
    shown = [mark if _steers(one) or (ascii_only and not one.isascii()) else one for one in text]
    if not shortened and sum(map(cell_len, shown)) <= columns:
        return "".join(shown)
    head_columns = columns // 2
    tail = _fitting(shown[::-1], columns - 1 - head_columns)[::-1]
    return "".join([*_fitting(shown, head_columns), gap, *tail])[: max(columns, 1)]


def _steers(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Mn", "Me"}


def _fitting(characters: list[str], columns: int) -> list[str]:
    taken: list[str] = []
    for character in characters:
        columns -= cell_len(character)
        if columns < 0:
            break
        taken.append(character)
    return taken
