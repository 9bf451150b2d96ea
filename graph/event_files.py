"""Event files: one JSON event a line, plain, ``.gz`` or ``.zst``, or ``-`` for the standard streams.

What is read is known by its name, or else by its first bytes: a compressed file may come under any name or by a pipe.
"""

from __future__ import annotations

import contextlib
import gzip
import itertools
import os
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Final, Protocol, cast

import msgspec
import zstandard

from graph.cascade import Cascade
from graph.errors import UserError
from graph.events import MAX_RECORD_BYTES, Event, Rejected, RejectReason, decode_event

Progress = Callable[[int, int | None], None]
"""Called with the bytes read of the file as it lies on disk, and all its bytes (None if unknown)."""


class _Frame(Protocol):
    """What the decompressors of zlib and zstandard have in common."""

    @property
    def eof(self) -> bool:
        """Whether the frame has ended."""

    @property
    def unused_data(self) -> bytes:
        """What was given beyond its end."""

    def decompress(self, data: bytes, /) -> bytes:
        """The content of ``data``, as far as it can be told yet."""


_CHUNK_BYTES: Final = 1 << 18
_ZSTD_LEVEL: Final = 3
_STANDARD: Final = "-"

_START: Final[Mapping[str, Callable[[], _Frame]]] = {
    ".gz": lambda: zlib.decompressobj(wbits=31),
    ".zst": lambda: zstandard.ZstdDecompressor().decompressobj(),
}
_MAGIC: Final = {b"\x1f\x8b": ".gz", b"\x28\xb5\x2f\xfd": ".zst"}
"""How compressed data begins (RFC 1952, RFC 8878); no line of JSON does."""

_MENDS: Final = {
    RejectReason.OVERSIZE: "shorten its text",
    RejectReason.NOT_UTF8: "convert the file to UTF-8",
    RejectReason.MALFORMED_JSON: "write one complete JSON object a line",
    RejectReason.SCHEMA: "compare with the published schema of an event (streams/schemas/social.events.json)",
    RejectReason.INVALID_TIME: "give seconds since 1970, or ISO 8601 with a zone such as 2012-09-11T03:34:22Z",
    RejectReason.INVALID_ID: "write ids as short plain text, and name in an undo's parent what it takes back",
}


class EventFileError(UserError):
    """An event file that cannot be read or written; the message says file, line, reason and mend."""


def read_lines(path: str | os.PathLike[str], *, progress: Progress | None = None) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, numbered from 1, as bytes without their end.

    Raises:
        EventFileError: the file is missing, unreadable, damaged or cut short.
    """
    number = 0
    rest = b""
    for chunk in _decompressed(path, progress):
        # A line without an end grows up to the size at which it is refused anyway, not to the size of the file.
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop()
        for line in lines:
            number += 1
            if line and not line.isspace():
                yield number, line
        if len(rest) > _CHUNK_BYTES + MAX_RECORD_BYTES:
            raise EventFileError(
                f"{path}:{number + 1}: {RejectReason.OVERSIZE.value}: the line does not end; is this an event file?"
            )
    if rest and not rest.isspace():
        yield number + 1, rest


def read_events(path: str | os.PathLike[str], *, progress: Progress | None = None) -> Iterator[Event]:
    """The events of a file, in its order.

    Raises:
        EventFileError: see `read_lines`; or a line is not a valid event.
    """
    for _, _, event in read_events_with_lines(path, progress=progress):
        yield event


def read_events_with_lines(
    path: str | os.PathLike[str], *, progress: Progress | None = None
) -> Iterator[tuple[int, bytes, Event]]:
    """The events of a file with the number and the bytes of their lines, for what a line says beyond its event.

    Raises:
        EventFileError: see `read_events`.
    """
    for number, line in read_lines(path, progress=progress):
        event = decode_event(line)
        if isinstance(event, Rejected):
            raise EventFileError(f"{path}:{number}: {event.reason.value}: {event.message}; {_MENDS[event.reason]}")
        yield number, line, event


def read_cascades(path: str | os.PathLike[str], *, progress: Progress | None = None) -> list[Cascade]:
    """All cascades of a file, in order of their first line; the lines may be in any order.

    Raises:
        EventFileError: see `read_events`.
    """
    cascades: dict[str, Cascade] = {}
    for event in read_events(path, progress=progress):
        cascade = cascades.get(event.cascade)
        if cascade is None:
            cascade = cascades[event.cascade] = Cascade(event.cascade)
        cascade.apply(event)
    return list(cascades.values())


def write_events(path: str | os.PathLike[str], events: Iterable[Event]) -> int:
    """Write events as an event file; returns their number. The file appears whole or not at all.

    Raises:
        EventFileError: the target cannot be written.
    """
    if os.fspath(path) == _STANDARD:
        count = _write(sys.stdout.buffer, events)
        sys.stdout.buffer.flush()
        return count
    target = Path(path)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        raise EventFileError(f"{target}: cannot be written: {error.strerror}; choose another place") from None
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file, _compressing(target, file) as sink:
            count = _write(sink, events)
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(target)
    except OSError as error:
        raise EventFileError(f"{target}: cannot be written: {error.strerror}; choose another place") from None
    finally:
        temporary.unlink(missing_ok=True)
    return count


def _write(sink: IO[bytes], events: Iterable[Event]) -> int:
    encoder = msgspec.json.Encoder()
    buffer = bytearray()
    count = 0
    for event in events:
        encoder.encode_into(event, buffer, -1)
        buffer += b"\n"
        count += 1
        if len(buffer) >= _CHUNK_BYTES:
            sink.write(buffer)
            buffer.clear()
    sink.write(buffer)
    return count


@contextlib.contextmanager
def _compressing(target: Path, file: IO[bytes]) -> Iterator[IO[bytes]]:
    if target.suffix == ".gz":
        # No name and no time in the header: the same events give the same bytes.
        with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as sink:
            yield cast(IO[bytes], sink)
    elif target.suffix == ".zst":
        with zstandard.ZstdCompressor(_ZSTD_LEVEL, write_checksum=True).stream_writer(file, closefd=False) as sink:
            yield sink
    else:
        yield file


def _decompressed(path: str | os.PathLike[str], progress: Progress | None) -> Iterator[bytes]:
    name = os.fspath(path)
    try:
        if name == _STANDARD:
            yield from _unpacked(_raw(sys.stdin.buffer, None, progress), name)
            return
        with Path(name).open("rb") as file:
            yield from _unpacked(_raw(file, os.fstat(file.fileno()).st_size, progress), name)
    except (zstandard.ZstdError, zlib.error) as error:
        kind = Path(name).suffix or "compressed"
        raise EventFileError(f"{name}: damaged, or not a {kind} file ({error}); fetch or write it again") from None
    except OSError as error:
        raise EventFileError(f"{name}: cannot be read: {error.strerror}; check the path") from None


def _raw(file: IO[bytes], total: int | None, progress: Progress | None) -> Iterator[bytes]:
    done = 0
    while chunk := file.read(_CHUNK_BYTES):
        done += len(chunk)
        if progress is not None:
            progress(done, total)
        yield chunk


def _unpacked(chunks: Iterator[bytes], name: str) -> Iterator[bytes]:
    first = next(chunks, b"")
    kind = Path(name).suffix
    if kind not in _START:
        kind = next((kind for magic, kind in _MAGIC.items() if first.startswith(magic)), "")
    chunks = itertools.chain([first], chunks)
    return _frames(chunks, _START[kind], name) if kind else chunks


def _frames(chunks: Iterable[bytes], start: Callable[[], _Frame], name: str) -> Iterator[bytes]:
    """Decompress the frames of a file one after another; the stream classes do not tell a file that was cut short."""
    frame = None
    for chunk in chunks:
        data = chunk
        while data:
            if frame is None:
                frame = start()
            yield frame.decompress(data)
            data = b""
            if frame.eof:
                data, frame = frame.unused_data, None
    if frame is not None:
        raise EventFileError(f"{name}: cut short in the middle of its compressed data; fetch or write it again")
