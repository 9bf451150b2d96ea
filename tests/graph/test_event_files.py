"""Event files: every spelling reads back, and every defect is told with file, line and mend."""

from __future__ import annotations

import gzip
import io
import random
import sys
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
import zstandard

from graph import Event, EventFileError, Kind, UserError, read_cascades, read_events, write_events

EVENTS = [
    Event(id="c", cascade="c", kind=Kind.POST, time=0.0, user="u", text="héllo\nworld"),
    Event(id="a", cascade="c", kind=Kind.REPOST, time=1.5, parent="c"),
    Event(id="d", cascade="d", kind=Kind.POST, time=1.75),
]


@pytest.mark.parametrize("name", ["events.jsonl", "events.jsonl.gz", "events.jsonl.zst"])
def test_written_files_read_back(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert write_events(path, EVENTS) == 3
    assert list(read_events(path)) == EVENTS
    first = path.read_bytes()
    write_events(path, EVENTS)
    assert path.read_bytes() == first
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["many.jsonl", "many.jsonl.gz", "many.jsonl.zst"])
def test_files_larger_than_a_chunk(tmp_path: Path, name: str) -> None:
    events = [
        Event(id=f"e{number}", cascade="c", kind=Kind.REPLY, time=float(number), text="x" * (number % 300))
        for number in range(20_000)
    ]
    write_events(tmp_path / name, events)
    told: list[tuple[int, int | None]] = []
    assert list(read_events(tmp_path / name, progress=lambda done, total: told.append((done, total)))) == events
    size = (tmp_path / name).stat().st_size
    assert told[-1] == (size, size)


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_concatenated_frames_are_one_file(tmp_path: Path, compress: object) -> None:
    path = tmp_path / ("events.gz" if compress is gzip.compress else "events.zst")
    path.write_bytes(b"".join(compress(msgspec.json.encode(event) + b"\n") for event in EVENTS))  # type: ignore[operator]
    assert list(read_events(path)) == EVENTS


def test_blank_lines_windows_ends_and_a_missing_last_end_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\r\n\n" + b"\r\n \n".join(msgspec.json.encode(event) for event in EVENTS))
    assert list(read_events(path)) == EVENTS


def test_a_dash_is_the_standard_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=out))
    assert write_events("-", EVENTS) == 3
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(out.getvalue())))
    assert list(read_events("-")) == EVENTS


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_compressed_events_are_known_by_any_name_and_from_a_pipe(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_events(tmp_path / f"events.{suffix}", EVENTS)
    packed = (tmp_path / f"events.{suffix}").rename(tmp_path / "download")
    assert list(read_events(packed)) == EVENTS
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(packed.read_bytes())))
    assert list(read_events("-")) == EVENTS
    packed.write_bytes(packed.read_bytes()[:-1])
    with pytest.raises(EventFileError, match="download: cut short in the middle of its compressed data"):
        list(read_events(packed))


def test_a_bad_line_is_named_with_its_mend(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(msgspec.json.encode(EVENTS[0]) + b'\n\n{"id":"x","cascade":"c","kind":"repost"}\n')
    with pytest.raises(EventFileError, match=r"events\.jsonl:3: schema: `time` is missing; compare with the published"):
        list(read_events(path))
    assert issubclass(EventFileError, UserError)


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_a_file_cut_short_is_told(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"events.{suffix}"
    write_events(path, EVENTS * 100)
    whole = path.read_bytes()
    for length in (len(whole) - 1, len(whole) // 2):
        path.write_bytes(whole[:length])
        with pytest.raises(EventFileError, match=r"cut short .* fetch or write it again"):
            list(read_events(path))


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_a_file_that_is_not_compressed_is_told(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"events.{suffix}"
    path.write_bytes(msgspec.json.encode(EVENTS[0]))
    with pytest.raises(EventFileError, match=rf"damaged, or not a \.{suffix} file"):
        list(read_events(path))


def test_what_cannot_be_opened_is_told(tmp_path: Path) -> None:
    with pytest.raises(EventFileError, match=r"missing\.jsonl: cannot be read: No such file or directory"):
        list(read_events(tmp_path / "missing.jsonl"))
    with pytest.raises(EventFileError, match="cannot be read: Is a directory"):
        list(read_events(tmp_path))
    with pytest.raises(EventFileError, match="cannot be written: No such file or directory"):
        write_events(tmp_path / "nowhere" / "events.jsonl", EVENTS)


def test_an_endless_line_is_refused_before_memory_is_full(tmp_path: Path) -> None:
    path = tmp_path / "zeros.jsonl"
    path.write_bytes(bytes(3_000_000))
    with pytest.raises(EventFileError, match=":1: oversize: the line does not end"):
        list(read_events(path))


def test_a_failed_write_leaves_nothing_and_spares_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    write_events(path, EVENTS[:1])

    def failing() -> object:
        yield EVENTS[0]
        raise RuntimeError("source failed")

    with pytest.raises(RuntimeError, match="source failed"):
        write_events(path, failing())  # type: ignore[arg-type]
    assert list(read_events(path)) == EVENTS[:1]
    assert len(list(tmp_path.iterdir())) == 1


def test_cascades_of_a_file_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl.zst"
    shuffled = EVENTS.copy()
    random.Random(1).shuffle(shuffled)
    write_events(path, shuffled)
    cascades = {cascade.id: cascade for cascade in read_cascades(path)}
    assert {name: (cascade.size, cascade.has_root) for name, cascade in cascades.items()} == {
        "c": (1, True),
        "d": (0, True),
    }
