"""Turn the data sets of the field into events. One module a format, each a generator of events.

An importer reads a file (plain, ``.gz``, ``.zst``, ``-`` for standard input) or, where a format has a file a
cascade, a directory. A line it cannot read raises `EventFileError` with file and line, the reason and the
mend.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Final

from graph.errors import UserError
from graph.event_files import Progress
from graph.events import Event
from graph.importers.options import ImportOptions
from graph.importers.paths import import_paths
from graph.importers.rumour_trees import import_rumour_trees
from graph.importers.tables import import_csv

__all__ = ["FORMATS", "ImportOptions", "import_events"]

Importer = Callable[[str, ImportOptions, Progress | None], Iterator[Event]]

FORMATS: Final[dict[str, Importer]] = {
    "casflow": import_paths,
    "deephawkes": import_paths,
    "twitter-rumour-trees": import_rumour_trees,
    "csv": import_csv,
}
"""CasFlow and DeepHawkes publish one and the same format."""


def import_events(
    format_name: str,
    source: str | os.PathLike[str],
    options: ImportOptions | None = None,
    *,
    progress: Progress | None = None,
) -> Iterator[Event]:
    """The events of ``source``, one cascade after another where the format is by cascade.

    Raises `UserError` for an unknown format, `EventFileError` for a source that cannot be read.
    """
    importer = FORMATS.get(format_name)
    if importer is None:
        raise UserError(f"unknown format {format_name!r}: choose one of {', '.join(FORMATS)}")
    return importer(os.fspath(source), options or ImportOptions(), progress)
