"""What a replay publishes: the records of an event file in event-time order, or the lines of any file as they stand."""

from __future__ import annotations

import contextlib
import gzip
import io
import math
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final, cast

import msgspec
import zstandard

from graph import Event, EventFileError, decode_event, read_events

Record = tuple[bytes | None, bytes, float]
"""Key, value and event time (NaN where the line does not tell) of one record."""

_RAW_CHUNK_BYTES: Final = 1 << 20


class _Keyed(msgspec.Struct):
    """The one field that decides the partition, read even from a line that is no valid event."""

    cascade: str


def event_records(
    source: str,
    stop: threading.Event,
    *,
    in_order: bool,
    fold_seconds: float | None,
    reading: Callable[[int, int | None], None] | None = None,
) -> Iterator[Record]:
    """The events of a file, ordered by time unless ``in_order``, encoded with the fields they have."""
    from graph.ordering import ordered

    encode = msgspec.json.Encoder().encode

    def until_stopped() -> Iterator[Event]:
        for event in read_events(source, progress=reading):
            if stop.is_set():
                return
            yield event

    for event in ordered(until_stopped(), in_order=in_order, fold_seconds=fold_seconds):
        yield event.cascade.encode(), encode(event), event.time


def raw_records(source: str) -> Iterator[Record]:
    """Each line as it stands, keyed by its cascade where that can be read."""
    decode_key = msgspec.json.Decoder(_Keyed).decode
    with _opened(source) as file:
        for line in _lines(file, source):
            value = line.removesuffix(b"\n")
            if not value:  # an empty record with no header says nothing, not even which event is missing
                continue
            event = decode_event(value)
            if isinstance(event, Event):
                yield event.cascade.encode(), value, event.time
                continue
            key: bytes | None = None
            with contextlib.suppress(msgspec.DecodeError, UnicodeError):
                key = decode_key(value).cascade.encode()
            yield key, value, math.nan


def _lines(file: IO[bytes], source: str) -> Iterator[bytes]:
    try:
        yield from file
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise EventFileError(f"{source}: cannot be read to its end ({error}): fetch or write it again") from None


@contextlib.contextmanager
def _opened(source: str) -> Iterator[IO[bytes]]:
    if source == "-":
        yield sys.stdin.buffer
        return
    path = Path(source)
    with contextlib.ExitStack() as stack:
        try:
            file: IO[bytes] = stack.enter_context(path.open("rb"))
        except OSError as error:
            raise EventFileError(f"{source}: cannot be read: {error.strerror}; check the path") from None
        if path.suffix == ".gz":
            file = cast("IO[bytes]", stack.enter_context(gzip.GzipFile(fileobj=file)))
        elif path.suffix == ".zst":
            reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
            file = stack.enter_context(io.BufferedReader(cast(io.RawIOBase, reader), _RAW_CHUNK_BYTES))
        yield file
