"""Files are written whole or not at all, and what is no file is left what it is."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from graph.errors import UserError
from streams.cli.output import atomic_lines


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"before\n")

    def lines() -> Iterator[bytes]:
        yield b"after"
        raise ValueError("in its midst")

    with pytest.raises(ValueError, match="midst"):
        atomic_lines(path, lines())
    assert path.read_bytes() == b"before\n"
    assert list(tmp_path.iterdir()) == [path]
    assert atomic_lines(path, [b"after"]) == 1
    assert path.read_bytes() == b"after\n"


def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    """As ``/dev/null`` has to: renamed over, it would be a file for everybody."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(path.read_bytes()), daemon=True)
    reader.start()
    assert atomic_lines(path, [b"one", b"two"]) == 2
    reader.join(10.0)
    assert read == [b"one\ntwo\n"]
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot write there: Is a directory; choose another place"):
        atomic_lines(tmp_path, [b"line"])
