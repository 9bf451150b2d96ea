"""The text format of DeepHawkes (Cao et al. 2017), also that of CasFlow and its successors: one cascade a
line.

    cascade_id \t root_user \t publish_time \t n \t path path path ...

A path ``u1/u2/.../uk:t`` says that uk reshared from the user before it, t after publication. The first path
is the root at 0. The format names users, not reshares: a reshare hangs on the latest one of the user it came
from.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from graph.event_files import Progress, read_lines
from graph.events import Event
from graph.importers.options import (
    UNIT_SECONDS,
    ImportOptions,
    checked_event,
    delay_seconds,
    instant,
    line_error,
    text_of,
)

COLUMNS: Final = 5

SHAPE: Final = "a line is cascade, root user, time, number and paths, with tabs between and spaces between paths"


def import_paths(path: str, options: ImportOptions, progress: Progress | None) -> Iterator[Event]:
    """Events of a DeepHawkes or CasFlow file; the root's event has the cascade's id."""
    for number, line in read_lines(path, progress=progress):
        yield from _cascade(path, number, text_of(path, number, line), options)


def _cascade(path: str, number: int, line: str, options: ImportOptions) -> Iterator[Event]:
    columns = line.split("\t")
    if len(columns) < COLUMNS:
        raise line_error(path, number, f"{len(columns)} columns instead of {COLUMNS}", SHAPE)
    cascade, root_user, published, _, paths = (column.strip() for column in columns[:COLUMNS])
    start = instant(published)
    if start is None:
        raise line_error(path, number, f"publish time {published!r}", "give seconds since 1970 or an ISO 8601 date")
    common = {"cascade": cascade, "source": options.source}
    yield checked_event(path, number, {"id": cascade, "kind": "post", "user": root_user, "time": start, **common})

    latest = {root_user: cascade}
    for index, (delay, users) in enumerate(_reshares(path, number, paths, UNIT_SECONDS[options.time_unit]), start=1):
        id_ = f"{cascade}:{index}"
        parent = latest.get(users[-2])
        yield checked_event(
            path,
            number,
            {"id": id_, "kind": "repost", "user": users[-1], "parent": parent, "time": start + delay, **common},
        )
        latest[users[-1]] = id_


def _reshares(path: str, number: int, paths: str, unit: float) -> list[tuple[float, list[str]]]:
    """Delay and users of each path but the root's own, in order of time."""
    found = []
    for text in paths.split():
        who, colon, when = text.rpartition(":")
        users = who.split("/")
        if not colon or not all(users):
            raise line_error(
                path, number, f"path {text[:80]!r}", "a path is users with slashes between, a colon and a time"
            )
        delay = delay_seconds(path, number, when, unit)
        if len(users) > 1:
            found.append((delay, users))
    return sorted(found, key=lambda reshare: reshare[0])
