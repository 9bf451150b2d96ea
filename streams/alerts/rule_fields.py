"""Take values out of a table of a rules file, each checked, with errors that name the key and the mend."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, Final

from graph.durations import parse_duration
from graph.errors import UserError

_HEADER: Final = re.compile(r"^\s*(\[\[?)\s*([^\]#]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY: Final = re.compile(r"""^\s*["']?([\w-]+)["']?\s*[=.]""")


class FieldError(Exception):
    """A value cannot be meant. ``table`` is the number of the rule it stands in, from 0; None: outside of all rules."""

    def __init__(self, table: int | None, key: str, message: str) -> None:
        super().__init__(message)
        self.table = table
        self.key = key


class Fields:
    """One table. Every method raises FieldError for a value that cannot be meant."""

    def __init__(self, table: dict[str, Any], known: Iterable[str], what: str, number: int | None = None) -> None:
        """``known``: all keys that there may be; ``what`` names the table in errors."""
        self._table = table
        self._what = what
        self._number = number
        names = list(known)
        for key in table:
            if key not in names:
                near = get_close_matches(key, names, 1)
                mend = f"did you mean {near[0]}?" if near else f"the keys are {', '.join(names)}"
                raise FieldError(number, key, f"{what} has no key {key:.100}: {mend}")

    def __contains__(self, key: str) -> bool:
        return key in self._table

    def within(self, key: str, table: dict[str, Any], known: Iterable[str]) -> Fields:
        """A table within this one, under ``key``."""
        return Fields(table, known, f"{self._what}, {key}", self._number)

    def wrong(self, key: str, what: str, mend: str) -> FieldError:
        """The error to raise where the values of several keys do not go together."""
        return FieldError(self._number, key, f"{self._what}: {what}; {mend}")

    def _refuse(self, key: str, wanted: str) -> FieldError:
        return FieldError(self._number, key, f"{self._what}: {key} must be {wanted}, not {self._table[key]!r:.100}")

    def text(self, key: str) -> str | None:
        """A text that is not empty."""
        value = self._table.get(key)
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise self._refuse(key, "a text")
        return value

    def texts(self, key: str) -> tuple[str, ...] | None:
        """A list of texts, or one text; at least one."""
        value = self._table.get(key)
        if value is None:
            return None
        found = [value] if isinstance(value, str) else value
        if not isinstance(found, list) or not found or not all(isinstance(one, str) for one in found):
            raise self._refuse(key, "a list of texts")
        return tuple(found)

    def flag(self, key: str) -> bool:
        """True or false; false where it is missing."""
        value = self._table.get(key, False)
        if not isinstance(value, bool):
            raise self._refuse(key, "true or false")
        return value

    def labels(self, key: str) -> dict[str, str]:
        """Texts by name."""
        value = self._table.get(key, {})
        if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
            raise self._refuse(key, 'a table of texts, such as { team = "news" }')
        return value

    def number(
        self, key: str, *, least: float = -math.inf, above: float = -math.inf, most: float = math.inf
    ) -> float | None:
        """A finite number within the bounds."""
        value = self._table.get(key)
        if value is None:
            return None
        plain = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not plain or not (least <= value <= most and value > above):
            bounds = [f"at least {least:g}"] if least > -math.inf else []
            bounds += [f"above {above:g}"] if above > -math.inf else []
            bounds += [f"at most {most:g}"] if most < math.inf else []
            raise self._refuse(key, " ".join(["a number", " and ".join(bounds)]).strip())
        return float(value)

    def seconds(self, key: str) -> float | None:
        """A duration with its unit, in seconds."""
        value = self._table.get(key)
        if value is None:
            return None
        try:
            if not isinstance(value, str):
                raise UserError("no text")
            return parse_duration(value)
        except UserError:
            raise self._refuse(key, 'a duration such as "90m"') from None

    def choice(self, key: str, choices: Iterable[str]) -> str | None:
        """One of some words."""
        value = self._table.get(key)
        names = list(choices)
        if value is not None and value not in names:
            near = get_close_matches(str(value), names, 1)
            raise self._refuse(key, f"one of {', '.join(names)}" + (f" ({near[0]}?)" if near else ""))
        return value

    def table(self, key: str) -> dict[str, Any] | None:
        """A table within."""
        value = self._table.get(key)
        if value is not None and not isinstance(value, dict):
            raise self._refuse(key, "a table, such as { expected = 800 }")
        return value


def line_of(text: str, table: int | None, key: str) -> int:
    """The line (from 1) of a key in the ``table``-th [[rule]] of a TOML text, or of the table's head without it."""
    rules, head, inside = -1, 1, table is None
    for number, line in enumerate(text.splitlines(), 1):
        header = _HEADER.match(line)
        if header is not None:
            name = header[2].replace(" ", "")
            rules += name == "rule" and header[1] == "[["
            inside = rules == (-1 if table is None else table)
            if inside and name == "rule":
                head = number
            if inside and name == f"rule.{key}":
                return number
        elif inside and (found := _KEY.match(line)) is not None and found[1] == key:
            return number
    return head
