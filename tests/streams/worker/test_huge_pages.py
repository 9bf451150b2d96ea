"""Which mappings of a process are put into large pages."""

from __future__ import annotations

import mmap

import pytest

from streams.worker import huge_pages
from streams.worker.huge_pages import Mapping, collapse, mappings

MEGABYTE = 1024 * 1024
SMAPS = """\
7f0000100000-7f0008100000 rw-p 00000000 00:00 0
Size:             131072 kB
Anonymous:        131072 kB
AnonHugePages:      4096 kB
7f1000000000-7f1008000000 r--p 00000000 00:00 0
Anonymous:        131072 kB
AnonHugePages:         0 kB
7f2000000000-7f2008000000 rw-p 00000000 08:01 4711  /some/file
Anonymous:        131072 kB
AnonHugePages:         0 kB
7f3000000000-7f3000800000 rw-p 00000000 00:00 0     [stack]
Anonymous:            64 kB
AnonHugePages:         0 kB
""".splitlines()


def test_memory_that_can_be_written_and_has_no_file_counts() -> None:
    assert list(mappings(SMAPS)) == [
        Mapping(0x7F0000100000, 0x7F0008100000, 128 * MEGABYTE, 4 * MEGABYTE),
        Mapping(0x7F3000000000, 0x7F3000800000, 64 * 1024, 0),
    ]


def test_only_whole_pages_of_it_do() -> None:
    assert Mapping(0x7F0000100000, 0x7F0008100000).pages() == (0x7F0000200000, 0x7F0008000000)


@pytest.mark.parametrize(
    ("megabytes", "used", "huge", "expected"),
    [(64, 64, 0, True), (64, 64, 32, True), (64, 64, 64, False), (64, 50, 0, False), (16, 16, 0, False)],
)
def test_it_must_be_large_in_use_and_in_small_pages(megabytes: int, used: int, huge: int, expected: bool) -> None:
    start = 1 << 40
    mapping = Mapping(start, start + megabytes * MEGABYTE, used * MEGABYTE, huge * MEGABYTE)
    assert mapping.is_worth_it is expected


def test_what_lies_in_memory_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huge_pages, "MINIMUM_BYTES", 4 * MEGABYTE)
    content = bytes(range(256)) * 4096
    with mmap.mmap(-1, 16 * MEGABYTE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        for _ in range(16):
            memory.write(content)
        assert collapse() >= 0
        memory.seek(0)
        assert all(memory.read(MEGABYTE) == content for _ in range(16))
