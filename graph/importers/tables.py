"""A table with a header and a row for each event: columns named as the keys of an event, or mapped to them.

Needed are ``cascade`` and ``time``. Without a column ``id`` a row is named after its cascade and place, but
for the root. Without ``kind`` a row whose id is its cascade's, or that is the cascade's first, is the post,
any other one a repost.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any, Final

from graph.event_files import Progress, read_lines
from graph.events import Event
from graph.importers.options import ImportOptions, checked_event, instant, line_error, text_of

KEYS: Final = ("id", "cascade", "kind", "user", "parent", "time", "followers", "verified", "text", "lang", "source")
NEEDED: Final = ("cascade", "time")
TRUE: Final = frozenset({"1", "true", "t", "yes", "y"})
FALSE: Final = frozenset({"0", "false", "f", "no", "n"})


def import_csv(path: str, options: ImportOptions, progress: Progress | None) -> Iterator[Event]:
    """Events of a csv file, in its order."""
    lines = _Lines(path, progress)
    first = next(lines, None)
    if first is None:
        raise line_error(path, 1, "an empty file", "give a table with a header")
    delimiter = options.delimiter or max(",\t;", key=first.count)
    try:
        header = [name.strip() for name in next(csv.reader([first], delimiter=delimiter))]
    except csv.Error as error:
        raise line_error(path, 1, f"not csv: {error}", "give a header of plain column names") from None
    places = _places(path, header, options)
    seen: dict[str, int] = {}
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            raise line_error(path, lines.number, f"not csv: {error}", "mend its quotes") from None
        if row is None:
            return
        if len(row) != len(header):
            raise line_error(
                path,
                lines.number,
                f"{len(row)} columns instead of {len(header)}",
                "quote texts that hold the delimiter",
            )
        cells = {key: row[place].strip() or None for key, place in places.items()}
        yield checked_event(path, lines.number, _content(path, lines.number, cells, seen, options))


class _Lines(Iterator[str]):
    """Lines as text with their ends, which quoted cells may contain; ``number`` is the last one's."""

    def __init__(self, path: str, progress: Progress | None) -> None:
        self.number = 0
        self._path = path
        self._lines = read_lines(path, progress=progress)

    def __next__(self) -> str:
        self.number, line = next(self._lines)
        return text_of(self._path, self.number, line) + "\n"


def _places(path: str, header: list[str], options: ImportOptions) -> dict[str, int]:
    """Key of an event -> place of its column."""
    for key, name in options.columns.items():
        if key not in KEYS:
            raise line_error(path, 1, f"no event has a key {key!r}", f"map columns to some of {', '.join(KEYS)}")
        if name not in header:
            raise line_error(path, 1, f"no column {name!r} in the header", f"the columns are {', '.join(header)}")
    places = {key: header.index(name) for key in KEYS if (name := options.columns.get(key, key)) in header}
    for key in NEEDED:
        if key not in places:
            raise line_error(
                path, 1, f"no column for {key!r}", f"name one with --column {key}=NAME: {', '.join(header)}"
            )
    return places


def _content(
    path: str, number: int, cells: dict[str, str | None], seen: dict[str, int], options: ImportOptions
) -> dict[str, Any]:
    cascade, time = cells["cascade"], cells["time"]
    if cascade is None or time is None:
        raise line_error(path, number, "empty cascade or time", "every event needs both")
    seconds = instant(time)
    if seconds is None:
        raise line_error(path, number, f"time {time!r}", "give seconds since 1970 or an ISO 8601 date")
    place = seen[cascade] = seen.get(cascade, -1) + 1
    id_ = cells.get("id") or (f"{cascade}:{place}" if place else cascade)
    root = id_ == cascade or (place == 0 and cells.get("parent") is None)
    return {
        **cells,
        "id": id_,
        "kind": cells.get("kind") or ("post" if root else "repost"),
        "time": seconds,
        "followers": _count(path, number, cells.get("followers")),
        "verified": _flag(path, number, cells.get("verified")),
        "source": cells.get("source") or options.source,
    }


def _count(path: str, number: int, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        raise line_error(path, number, f"followers {text!r}", "give a whole number or nothing") from None


def _flag(path: str, number: int, text: str | None) -> bool | None:
    if text is None:
        return None
    if text.lower() in TRUE | FALSE:
        return text.lower() in TRUE
    raise line_error(path, number, f"verified {text!r}", "give true, false or nothing")
