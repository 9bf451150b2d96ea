"""Files are written whole or not at all, and what is no file is left what it is."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from graph.errors import UserError
from graph.event_files import read_lines
from streams.cli.output import atomic_lines


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "file.jsonl"
    target.write_bytes(b"before")

    def failing() -> Iterator[bytes]:
        yield b"one"
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        atomic_lines(target, failing())
    assert target.read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["file.jsonl"]
    for suffix in ("", ".gz", ".zst"):
        path = tmp_path / f"lines{suffix}"
        assert atomic_lines(path, [b'{"a":1}', b'{"b":2}']) == 2
        assert [line for _, line in read_lines(str(path))] == [b'{"a":1}', b'{"b":2}']
    assert atomic_lines(target, [b"after"]) == 1
    assert target.read_bytes() == b"after\n"


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
