"""Write a file whole or not at all."""

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

    Lines go to a temporary file beside it, renamed at the end: a failure leaves nothing half-written.
    Raises UserError when the place cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent or Path(), prefix=f".{path.name}.")
    except OSError as error:
        raise UserError(f"{path}: cannot write there: {error.strerror}; choose another place") from None
    temporary = Path(name)
    try:
        with _compressing(os.fdopen(handle, "wb"), path.suffix) as file:

            def write(line: bytes) -> None:
                file.write(line)
                file.write(b"\n")

            yield write
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def _compressing(file: IO[bytes], suffix: str) -> IO[bytes]:
    if suffix == ".zst":
        return cast("IO[bytes]", zstandard.ZstdCompressor().stream_writer(file))
    if suffix == ".gz":
        return cast("IO[bytes]", gzip.GzipFile(fileobj=file, mode="wb", mtime=0))
    return file
