"""``cascadecast import FORMAT SRC``: turn a data set of the field into an event file."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Annotated, get_args, get_type_hints

import typer

from graph.errors import UserError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("import")(import_file)


def import_file(
    format_name: Annotated[
        str, typer.Argument(metavar="FORMAT", help="casflow, deephawkes, twitter-rumour-trees or csv.")
    ],
    source: Annotated[
        str, typer.Argument(metavar="SRC", help="File, plain, .gz or .zst; directory of trees; - for standard input.")
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", help="Event file, .gz or .zst by its name; - for standard output.")
    ] = "-",
    time_unit: Annotated[
        str, typer.Option(help="casflow, deephawkes: unit of the delays: seconds, minutes, hours or days.")
    ] = "seconds",
    column: Annotated[
        list[str] | None, typer.Option(help="csv: KEY=NAME, the column of an event's key; may be repeated.")
    ] = None,
    delimiter: Annotated[str | None, typer.Option(help="csv: one character.  [default: guessed]")] = None,
    source_name: Annotated[str | None, typer.Option(help="Written as source into events that have none.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object; needs --output.")] = False,
) -> None:
    """Turn a data set into an event file, its cascades one after another as they stand in it."""
    from graph.event_files import write_events
    from graph.events import Event
    from graph.importers import ImportOptions, import_events
    from streams.cli.progress import counting

    if json and output == "-":
        raise UserError("--json and the events cannot both go to standard output: name a file with --output")
    units = get_args(get_type_hints(ImportOptions)["time_unit"])
    if time_unit not in units:
        raise UserError(f"--time-unit {time_unit!r} is none: choose one of {', '.join(units)}")
    if delimiter is not None and len(delimiter.replace("\\t", "\t")) != 1:
        raise UserError(f"--delimiter {delimiter!r} is not one character, such as ';' or '\\t'")
    options = ImportOptions(
        time_unit=time_unit,  # type: ignore[arg-type]  # checked above
        columns=_columns(column or []),
        delimiter=delimiter.replace("\\t", "\t") if delimiter else None,
        source=source_name,
    )
    started = time.perf_counter()
    cascades: set[str] = set()

    def seen(events: Iterable[Event]) -> Iterator[Event]:
        for event in events:
            cascades.add(event.cascade)
            yield event

    with counting("imported") as ticker:
        events = ticker.through("imported", import_events(format_name, source, options))
        count = write_events(output, seen(events))
    if json:
        from streams.cli.results import print_result

        row = {"format": format_name, "source": source, "cascades": len(cascades), "events": count, "output": output}
        print_result("import", time.perf_counter() - started, [row])
    elif output != "-":
        print(f"{count:,} events of {len(cascades):,} cascades in {output}", file=sys.stderr)


def _columns(pairs: list[str]) -> dict[str, str]:
    columns = {}
    for pair in pairs:
        key, equals, name = pair.partition("=")
        if not (equals and key.strip() and name.strip()):
            raise UserError(f"--column {pair!r} maps nothing: write KEY=NAME, such as cascade=tweet_id")
        columns[key.strip()] = name.strip()
    return columns
