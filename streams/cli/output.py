"""Write a file whole or not at all; what is no file, a device or a pipe, as it comes."""

from __future__ import annotations

import gzip
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, cast

import zstandard

from graph.errors import UserError


def atomic_lines(path: Path, lines: Iterable[bytes]) -> int:
    """Write the lines to ``path`` (compressed by suffix .gz or .zst) and return how many.

    Whole or not at all, as `atomic_file`. Raises UserError when the place cannot be written.
    """
    count = 0
    with atomic_file(path) as write:
        for line in lines:
            write(line)
            count += 1
    return count


@contextmanager
def atomic_file(path: Path) -> Iterator[Callable[[bytes], None]]:
    """What writes a line to ``path`` (compressed by suffix .gz or .zst).

    Lines go to a temporary file beside it, renamed at the end: a failure leaves nothing half-written. What is there and
    no file, a device or a pipe, is written to as it is: to rename over ``/dev/null`` would take it from the machine.
    Raises UserError when the place cannot be written.
    """
    if path.exists() and not path.is_file():
        with _opened(path) as file, _compressing(file, path.suffix) as compressing:
            yield _lines_to(compressing)
        return
    try:
        handle, name = tempfile.mkstemp(dir=path.parent or Path(), prefix=f".{path.name}.")
    except OSError as error:
        raise _refused(path, error) from None
    temporary = Path(name)
    try:
        with _compressing(os.fdopen(handle, "wb"), path.suffix) as file:
            yield _lines_to(file)
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("wb")
    except OSError as error:
        raise _refused(path, error) from None


def _refused(path: Path, error: OSError) -> UserError:
    return UserError(f"{path}: cannot write there: {error.strerror}; choose another place")


def _lines_to(file: IO[bytes]) -> Callable[[bytes], None]:
    def write(line: bytes) -> None:
        file.write(line)
        file.write(b"\n")

    return write


def _compressing(file: IO[bytes], suffix: str) -> IO[bytes]:
    if suffix == ".zst":
        return cast("IO[bytes]", zstandard.ZstdCompressor().stream_writer(file))
    if suffix == ".gz":
        return cast("IO[bytes]", gzip.GzipFile(fileobj=file, mode="wb", mtime=0))
    return file
