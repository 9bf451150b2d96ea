"""Write a file whole or not at all."""

from __future__ import annotations

import gzip
import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

import zstandard

from graph.errors import UserError


def atomic_lines(path: Path, lines: Iterable[bytes]) -> int:
    """Write the lines to ``path`` (compressed by suffix .gz or .zst) and return how many.

    They go to a temporary file beside it, renamed at the end: a failure leaves nothing half-written.
    Raises UserError when the place cannot be written.
    """
    count = 0
    try:
        handle, name = tempfile.mkstemp(dir=path.parent or Path(), prefix=f".{path.name}.")
    except OSError as error:
        raise UserError(f"{path}: cannot write there: {error.strerror}; choose another place") from None
    temporary = Path(name)
    try:
        with _compressing(os.fdopen(handle, "wb"), path.suffix) as file:
            for line in lines:
                file.write(line)
                file.write(b"\n")
                count += 1
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()
    return count


def _compressing(file: IO[bytes], suffix: str) -> IO[bytes]:
    if suffix == ".zst":
        return cast("IO[bytes]", zstandard.ZstdCompressor().stream_writer(file))
    if suffix == ".gz":
        return cast("IO[bytes]", gzip.GzipFile(fileobj=file, mode="wb", mtime=0))
    return file
